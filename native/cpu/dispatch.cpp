#include "kernels.h"
namespace actclip {
const Kernels& kernels() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return avx512_kernels();
  if (__builtin_cpu_supports("avx2")) return avx2_kernels();
#endif
  return portable_kernels();
}
}  // namespace actclip
