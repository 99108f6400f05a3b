#include "cpu/convolution_impl.h"
#include "cpu/kernels_impl.h"

namespace actclip::cpu {

// In contiguous memory a window's neighbours are every second element, which compilers pick out of
// 256 bits several times faster than out of 512.
const Kernels kAvx512Kernels{
    find,
    [](Dtype dtype, bool relu, bool channels_last) {
      return (channels_last ? kKernels : kAvx2Kernels).find_pool(dtype, relu, channels_last);
    },
    [](Dtype dtype, bool channels_last) {
      return (channels_last ? kKernels : kAvx2Kernels).find_pool_backward(dtype, channels_last);
    },
    kConvolution};

}  // namespace actclip::cpu
