// A block of a network: convolution, 2x2 max pooling, relu and clip.
#pragma once

#include "torch/ops.h"

namespace actclip {

struct ConvolutionGradients {
  Tensor x;
  Tensor weight;
  Tensor bias;
  Tensor t;
};

// relu(max_pool2d(conv2d(x, weight, bias), 2)), which above t is t where there is a threshold, and, where
// they are wanted, the codes of the pooling. Nothing is recorded. The convolution is ours where its kernel fits, and
// LibTorch's otherwise. Both tensors are empty where the arguments, of which nothing is known, are not
// float32 on the CPU, or do not fit each other.
Pooled conv_max_pool_clip(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t,
    bool codes);

// Whether conv_max_pool_clip takes these, and, where gradients are wanted, these are ours, too: by x only
// where it is wanted.
bool suit_convolution(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t,
    bool gradients, bool by_x);

// Of such a convolution, from the gradient by its output; those by x and by the weight are empty where
// they are not wanted. Throws where these are not of one.
ConvolutionGradients conv_max_pool_clip_backward(
    const View& g, const View& codes, AtenTensorHandle x, AtenTensorHandle weight,
    AtenTensorHandle t, bool by_x, bool by_weight);

}  // namespace actclip
