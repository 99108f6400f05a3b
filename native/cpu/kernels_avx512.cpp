#include "cpu/kernels_impl.h"

namespace actclip::cpu {
const Kernels kAvx512Kernels = kKernels;
}
