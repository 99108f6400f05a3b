#include "cpu/convolution_impl.h"
#include "cpu/kernels_impl.h"

namespace actclip::cpu {
const Kernels kAvx2Kernels{find, find_pool, find_pool_backward, kConvolution};
}
