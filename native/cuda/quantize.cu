// Fake quantization, for CUDA.
#include "cuda/elements.h"
#include "torch/elements.h"

namespace actclip {
namespace cuda {
namespace {

struct GridSource {
  Parameter scale;
  Parameter offset;
  double low;
  double high;

  explicit GridSource(const Quantizer& quantizer)
      : scale(quantizer.scale), offset(quantizer.offset), low(static_cast<double>(quantizer.low)),
        high(static_cast<double>(quantizer.high)) {}
};

template <typename T>
struct GridLanes {
  using Source = GridSource;
  using W = Wide<T>;

  W scale[kLanesOf<T>];
  W offset[kLanesOf<T>];
  W low;
  W high;

  __device__ GridLanes(const Source& source, const Plan& plan, int64_t group)
      : low(static_cast<W>(source.low)), high(static_cast<W>(source.high)) {
    read(source.scale, plan, group, scale);
    read(source.offset, plan, group, offset);
  }

  __device__ operator typename FakeQuantize<T>::Parameters() const {
    return {scale, offset, low, high};
  }
};

// Calls `task` with a value of the operation for a dtype and a rule for the scale's gradient.
template <typename Task>
auto with_gradient(Dtype dtype, ScaleGradient scale_gradient, const Task& task) {
  return with_type(dtype, [&](auto type) {
    using T = decltype(type);
    switch (scale_gradient) {
      case ScaleGradient::kClipped:
        return task(FakeQuantizeGradient<T, ScaleGradient::kClipped>{});
      case ScaleGradient::kRounded:
        return task(FakeQuantizeGradient<T, ScaleGradient::kRounded>{});
      default:
        return task(FakeQuantizeGradient<T, ScaleGradient::kRoundedAndScaled>{});
    }
  });
}

}  // namespace
}  // namespace cuda

using namespace cuda;

Tensor Cuda::fake_quantize(const View& given, const Quantizer& quantizer) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Geometry geometry = geometry_of(x.view, quantizer);
  const Launcher launcher(given);
  Tensor y = empty(given.shape(), x.strides(), given.dtype, given);
  with_type(dtype_of(given), [&](auto type) {
    using T = decltype(type);
    run_forward<GridLanes<T>>(
        launcher, Plan(geometry, kLanesOf<T>), GridSource(quantizer),
        Forward<FakeQuantize<T>>{data<T>(x.view), data<T>(y)});
  });
  return y;
}

QuantizerGradients Cuda::fake_quantize_backward(
    const View& given_g, const View& given, const Quantizer& quantizer,
    ScaleGradient scale_gradient) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Laid g = laid_like(given_g, x.view);
  const Geometry geometry = geometry_of(x.view, quantizer);
  const Launcher launcher(given);
  QuantizerGradients gradients;
  gradients.x = empty(given.shape(), x.strides(), given.dtype, given);
  const Partial partial = with_gradient(dtype_of(given), scale_gradient, [&](auto op) {
    using Op = decltype(op);
    using T = typename Op::T;
    return run_backward<GridLanes<T>>(
        launcher, Plan(geometry, kLanesOf<T>), GridSource(quantizer),
        Backward<Op>{data<T>(g.view), data<T>(x.view), data<T>(gradients.x)}, given);
  });
  const auto gradient = [&](const View& parameter, int64_t sum) {
    const double factor = gradient_factor(given, parameter, quantizer, scale_gradient);
    return gradient_of(launcher, parameter, partial, sum, factor);
  };
  gradients.scale = gradient(quantizer.scale, 0);
  gradients.offset = gradient(quantizer.offset, 1);
  return gradients;
}

}  // namespace actclip
