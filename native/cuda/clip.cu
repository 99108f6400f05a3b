// The clips, for CUDA.
#include "cuda/elements.h"
#include "torch/elements.h"

namespace actclip {
namespace cuda {
namespace {

struct ClipSource {
  Parameter hi;
  Parameter value;
  Parameter lo;

  explicit ClipSource(const Limits& limits)
      : hi(limits.hi), value(limits.value_or_hi()), lo(limits.lo) {}
};

template <typename T>
struct ClipLanes {
  using Source = ClipSource;

  T hi[kLanesOf<T>];
  T value[kLanesOf<T>];
  T lo[kLanesOf<T>];

  __device__ ClipLanes(const Source& source, const Plan& plan, int64_t group) {
    read(source.hi, plan, group, hi);
    read(source.value, plan, group, value);
    if (source.lo.numbers != nullptr) {
      read(source.lo, plan, group, lo);
    }
  }

  template <typename Parameters>
  __device__ operator Parameters() const {
    return {hi, value, lo};
  }
};

// Calls `task` with a value of the operation for a dtype and limits.
template <template <typename, bool, bool> class Op, typename Task>
auto with_clip(Dtype dtype, const Limits& limits, const Task& task) {
  return with_type(dtype, [&](auto type) {
    using T = decltype(type);
    if (limits.relu) {
      return limits.lo ? task(Op<T, true, true>{}) : task(Op<T, true, false>{});
    }
    return limits.lo ? task(Op<T, false, true>{}) : task(Op<T, false, false>{});
  });
}

}  // namespace
}  // namespace cuda

using namespace cuda;

Tensor Cuda::clip(const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Geometry geometry = geometry_of(x.view, limits);
  const Launcher launcher(given);
  Tensor y = empty(given.shape(), x.strides(), given.dtype, given);
  with_clip<Clip>(dtype_of(given), limits, [&](auto op) {
    using Op = decltype(op);
    using T = typename Op::T;
    run_forward<ClipLanes<T>>(
        launcher, Plan(geometry, kLanesOf<T>), ClipSource(limits),
        Forward<Op>{data<T>(x.view), data<T>(y)});
  });
  return y;
}

ClipGradients Cuda::clip_backward(const View& given_g, const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Laid g = laid_like(given_g, x.view);
  const Geometry geometry = geometry_of(x.view, limits);
  const Launcher launcher(given);
  ClipGradients gradients;
  gradients.x = empty(given.shape(), x.strides(), given.dtype, given);
  const Partial partial = with_clip<Clip>(dtype_of(given), limits, [&](auto op) {
    using Op = decltype(op);
    using T = typename Op::T;
    return run_backward<ClipLanes<T>>(
        launcher, Plan(geometry, kLanesOf<T>), ClipSource(limits),
        Backward<Op>{data<T>(g.view), data<T>(x.view), data<T>(gradients.x)}, given);
  });
  gradients.hi = gradient_of(launcher, limits.value_or_hi(), partial, 0, 1);
  if (limits.lo) {
    gradients.lo = gradient_of(launcher, limits.lo, partial, 1, 1);
  }
  return gradients;
}

Tensor Cuda::clip_statistics(const View& given_g, const View& given, const Limits& limits) {
  require_floating(given, "the activations");
  const Laid x(given);
  const Laid g = laid_like(given_g, x.view);
  const Geometry geometry = geometry_of(x.view, limits);
  const std::vector<int64_t> shape = statistics_shape(limits, geometry);
  const Launcher launcher(given);
  const Partial partial = with_clip<ClipStatistics>(dtype_of(given), limits, [&](auto op) {
    using Op = decltype(op);
    using T = typename Op::T;
    return run_backward<ClipLanes<T>>(
        launcher, Plan(geometry, kLanesOf<T>), ClipSource(limits),
        Statistics<Op>{data<T>(g.view), data<T>(x.view)}, given);
  });
  return totals_of(launcher, partial, shape, statistics_dtype(given), given);
}

}  // namespace actclip
