// What the operations on elements have to know of their tensors, on every device.
#pragma once

#include <cmath>

#include "torch/geometry.h"
#include "torch/ops.h"

namespace actclip {

inline Geometry geometry_of(const View& x, const Limits& limits) {
  return geometry(x, {&limits.hi, &limits.lo, &limits.value});
}

inline Geometry geometry_of(const View& x, const Quantizer& quantizer) {
  if (quantizer.low > 0 || quantizer.high < 1) {
    throw std::runtime_error(
        "codes from " + std::to_string(quantizer.low) + " to " + std::to_string(quantizer.high) +
        ": low must be at most 0, and high above 0");
  }
  return geometry(x, {&quantizer.scale, &quantizer.offset});
}

// (sums, thresholds), the latter as they are given.
inline std::vector<int64_t> statistics_shape(const Limits& limits, const Geometry& geometry) {
  if (limits.hi.numel != geometry.channels) {
    throw std::runtime_error("statistics take thresholds of the same number of elements");
  }
  std::vector<int64_t> shape = limits.hi.shape();
  shape.insert(shape.begin(), limits.lo ? 8 : 4);
  return shape;
}

inline int32_t statistics_dtype(const View& x) {
  const int32_t widest = aoti_torch_dtype_float64();
  return x.dtype == widest ? widest : aoti_torch_dtype_float32();
}

// What a parameter's sum is multiplied by: for LSQ 1/sqrt(N*high), N being how many elements share
// the parameter.
inline double gradient_factor(
    const View& x, const View& parameter, const Quantizer& quantizer,
    ScaleGradient scale_gradient) {
  if (scale_gradient != ScaleGradient::kRoundedAndScaled) {
    return 1;
  }
  const int64_t shared = x.numel / std::max<int64_t>(1, parameter.numel);
  return 1 / std::sqrt(
      static_cast<double>(std::max<int64_t>(1, shared)) * static_cast<double>(quantizer.high));
}

}  // namespace actclip
