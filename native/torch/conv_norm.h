// For evaluation: a convolution without bias, batch normalisation by the running statistics, what is
// added to it, relu and clip. Float32, channels-last, on the CPU.
#pragma once

#include "torch/norm.h"

namespace actclip {

// The same for height and width.
struct Window {
  int64_t stride;
  int64_t padding;  // with zeros, on each side
};

// Whether these, of which nothing is known, suit; all but addend must be there.
bool suit_conv_norm(
    AtenTensorHandle x, AtenTensorHandle weight, const Window& window, AtenTensorHandle addend,
    std::initializer_list<AtenTensorHandle> of_channels, AtenTensorHandle t);

// Of what suits. No bit depends on the number of images or of threads.
Tensor conv_norm_clip(
    const View& x, const View& weight, const Window& window, const View& addend, const Norm& norm,
    const View& t);

}  // namespace actclip
