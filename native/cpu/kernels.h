#pragma once
namespace actclip {
struct Kernels {
  const char* name;
  float (*twice)(float);
};
const Kernels& portable_kernels();
#ifdef __x86_64__
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
#endif
const Kernels& kernels();
}  // namespace actclip
