#include "cpu/kernels_impl.h"

namespace actclip::cpu {
const Kernels kPortableKernels = kKernels;
}
