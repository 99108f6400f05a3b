// The operations on elements, for the CPU.
#include "torch/blocks.h"

namespace actclip {
namespace {

using cpu::Operation;
using cpu::Variant;

Variant variant_of(Operation operation, const Limits& limits) {
  Variant variant{operation};
  variant.relu = limits.relu;
  variant.below = static_cast<bool>(limits.lo);
  return variant;
}

}  // namespace

Tensor Cpu::clip(const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Plan plan(geometry_of(x.view, limits));
  Tensor y = empty(given.shape(), x.strides(), given.dtype, given);
  with_limits(plan, dtype_of(given), limits, [&](const auto& fill) {
    run(plan, dtype_of(given), variant_of(Operation::kClip, limits), 0,
        {nullptr, bytes_of(x.view), bytes_of_new(y), nullptr}, fill);
  });
  return y;
}

ClipGradients Cpu::clip_backward(const View& given_g, const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  ClipGradients gradients;
  gradients.x = empty(given.shape(), x.strides(), given.dtype, given);
  const Laid g = laid_like(given_g, x.view);
  const Plan plan(geometry_of(x.view, limits));
  const std::vector<double> sums = with_limits(
      plan, dtype_of(given), limits, [&](const auto& fill) {
        return run(
            plan, dtype_of(given), variant_of(Operation::kClipBackward, limits), limits.lo ? 2 : 1,
            {bytes_of(g.view), bytes_of(x.view), bytes_of_new(gradients.x), nullptr}, fill);
      });
  const int64_t channels = plan.geometry.channels;
  gradients.hi = gradient_of(limits.value_or_hi(), sums.data(), channels, 1);
  if (limits.lo) {
    gradients.lo = gradient_of(limits.lo, sums.data() + channels, channels, 1);
  }
  return gradients;
}

Tensor Cpu::clip_statistics(const View& given_g, const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Laid g = laid_like(given_g, x.view);
  const Plan plan(geometry_of(x.view, limits));
  const std::vector<int64_t> shape = statistics_shape(limits, plan.geometry);
  const std::vector<double> sums = with_limits(
      plan, dtype_of(given), limits, [&](const auto& fill) {
        return run(
            plan, dtype_of(given), variant_of(Operation::kClipStatistics, limits),
            static_cast<int>(shape[0]), {bytes_of(g.view), bytes_of(x.view), nullptr, nullptr}, fill);
      });
  return rounded(
      sums.data(), static_cast<int64_t>(sums.size()), shape, statistics_dtype(given), given);
}

Tensor Cpu::fake_quantize(const View& given, const Quantizer& quantizer) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Plan plan(geometry_of(x.view, quantizer));
  Tensor y = empty(given.shape(), x.strides(), given.dtype, given);
  with_quantizer(plan, dtype_of(given), quantizer, [&](const auto& fill) {
    run(plan, dtype_of(given), Variant{Operation::kFakeQuantize}, 0,
        {nullptr, bytes_of(x.view), bytes_of_new(y), nullptr}, fill);
  });
  return y;
}

QuantizerGradients Cpu::fake_quantize_backward(
    const View& given_g, const View& given, const Quantizer& quantizer,
    ScaleGradient scale_gradient) {
  require_floating(given, "the activations");
  const Laid x(given);
  QuantizerGradients gradients;
  gradients.x = empty(given.shape(), x.strides(), given.dtype, given);
  const Laid g = laid_like(given_g, x.view);
  const Plan plan(geometry_of(x.view, quantizer));
  Variant variant{Operation::kFakeQuantizeBackward};
  variant.scale_gradient = scale_gradient;
  const std::vector<double> sums = with_quantizer(
      plan, dtype_of(given), quantizer, [&](const auto& fill) {
        return run(
            plan, dtype_of(given), variant, 2,
            {bytes_of(g.view), bytes_of(x.view), bytes_of_new(gradients.x), nullptr}, fill);
      });
  const int64_t channels = plan.geometry.channels;
  const auto gradient = [&](const View& parameter, const double* of_parameter) {
    const double factor = gradient_factor(given, parameter, quantizer, scale_gradient);
    return gradient_of(parameter, of_parameter, channels, factor);
  };
  gradients.scale = gradient(quantizer.scale, sums.data());
  gradients.offset = gradient(quantizer.offset, sums.data() + channels);
  return gradients;
}

}  // namespace actclip
