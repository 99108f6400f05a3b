// The clip of few elements, differentiated by LibTorch.
#pragma once

#include "torch/tensor.h"

namespace actclip {

// where(r > t, t, r), with r = relu(x) or x, composed of LibTorch's operations, which record it.
// It takes few float32 or float64 elements: from `limit` on a kernel pays, although Java makes its
// node in the graph. Returns an empty tensor where the arguments are others or do not suit.
Tensor clip_small(AtenTensorHandle x, AtenTensorHandle t, bool relu, int64_t limit);

}  // namespace actclip
