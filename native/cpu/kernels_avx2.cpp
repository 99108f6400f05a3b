#include "cpu/kernels_impl.h"

namespace actclip::cpu {
const Kernels kAvx2Kernels = kKernels;
}
