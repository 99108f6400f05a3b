#include "cpu/kernels.h"

#include <initializer_list>

namespace actclip::cpu {
namespace {

bool runs_here(Target target) {
#ifdef __x86_64__
  switch (target) {
    case Target::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
          runs_here(Target::kAvx2);
    case Target::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Target::kPortable:
      break;
  }
#endif
  return target == Target::kPortable;
}

}  // namespace

const Kernels* kernels(Target target) {
  if (!runs_here(target)) {
    return nullptr;
  }
  switch (target) {
#ifdef __x86_64__
    case Target::kAvx512:
      return &kAvx512Kernels;
    case Target::kAvx2:
      return &kAvx2Kernels;
#endif
    default:
      return &kPortableKernels;
  }
}

Target best_target() {
  for (Target target : {Target::kAvx512, Target::kAvx2}) {
    if (runs_here(target)) {
      return target;
    }
  }
  return Target::kPortable;
}

const char* name(Target target) {
  switch (target) {
    case Target::kAvx512:
      return "AVX-512";
    case Target::kAvx2:
      return "AVX2";
    default:
      return "portable";
  }
}

}  // namespace actclip::cpu
