// relu and what limits behind it, in the memory of the activations, on the CPU.
#pragma once

#include "torch/ops.h"

namespace actclip {

struct InPlaceGradients {
  Tensor x;
  Tensor limit;  // by its first parameter
};

// Whether these, of which nothing is known, can be overwritten: dense floating-point activations on the
// CPU, and one parameter or two of them.
bool suit_in_place(AtenTensorHandle x, AtenTensorHandle first, AtenTensorHandle second);

// Overwrites x, which suits. Where backward follows it gives what became of each element, uint8 in the
// layout of x; else an empty tensor.
Tensor limit_in_place(const View& x, const Limit& limit, bool recorded);

// Throws where these are not of one.
InPlaceGradients limit_in_place_backward(const View& g, const View& fates, const Limit& limit);

}  // namespace actclip
