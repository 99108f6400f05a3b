// Batch normalisation, what is added to it, relu and the clip or the quantizer behind that: float32,
// channels-last, on the CPU.
#pragma once

#include "torch/ops.h"

namespace actclip {

// Of its channels each. The running statistics are moved by training.
struct Norm {
  View weight;
  View bias;
  View running_mean;
  View running_var;
  double momentum;
  double eps;
  bool training;
};

struct Normed {
  Tensor y;
  Tensor fates;       // what became of each element, uint8 in the layout of x
  Tensor statistics;  // (2, C) float32: the means, and what 1/sqrt(variance + eps) is
};

struct NormGradients {
  Tensor x;
  Tensor addend;
  Tensor weight;
  Tensor bias;
  Tensor limit;  // by its first parameter
};

// Whether these, of which nothing is known, suit; all but addend and the second parameter must be there.
bool suit_norm(
    AtenTensorHandle x, AtenTensorHandle addend, std::initializer_list<AtenTensorHandle> of_channels,
    AtenTensorHandle first, AtenTensorHandle second);

// Of what suits. Backward follows only a training pass; else there are no fates and no statistics.
Normed norm_limit(
    const View& x, const View& addend, const Norm& norm, const Limit& limit, bool recorded);

NormGradients norm_limit_backward(
    const View& g, const View& fates, const View& x, const View& statistics, const View& weight,
    const Limit& limit, bool by_addend);

}  // namespace actclip
