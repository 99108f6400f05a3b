// A block of a network, for inference.
#pragma once

#include "torch/tensor.h"

namespace actclip {

// relu(max_pool2d(conv2d(x, weight, bias), 2)), which above t is t where there is a threshold. LibTorch
// convolves, with the same bits as its conv2d, and nothing is recorded. Returns an empty tensor where the
// arguments, of which nothing is known, are not float32 on the CPU, or do not fit each other.
Tensor conv_max_pool_clip(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t);

}  // namespace actclip
