// A block of a network, for inference.
#pragma once

#include "torch/tensor.h"

namespace actclip {

// relu(max_pool2d(conv2d(x, weight, bias), 2)), which above t is t where there is a threshold. LibTorch
// convolves, with the same bits as its conv2d, and nothing is recorded. Returns an empty tensor where the
// arguments are not float32 on the CPU, or there is none: one call is then no gain.
Tensor conv_max_pool_clip(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t);

}  // namespace actclip
