// 2x2 max pooling, relu and clip in one pass, for CUDA.
#include "torch/pool.h"

#include "cuda/elements.h"

namespace actclip {
namespace cuda {
namespace {

// Where the window of an output begins among the inputs.
__device__ int64_t window(const PoolGeometry& g, int64_t row, int64_t output) {
  const int64_t column = output / g.interleaved();
  return g.input_offset(row) + 2 * column * g.interleaved() + output % g.interleaved();
}

// A thread makes a byte of codes, of two outputs.
template <typename T, bool kRelu>
__global__ void __launch_bounds__(kThreads)
    pool(PoolGeometry g, Parameter t, const T* x, T* y, uint8_t* codes) {
  const int64_t byte = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t row = byte / g.row_bytes();
  if (row >= g.rows()) {
    return;
  }
  const int64_t right = g.interleaved();
  int packed = 0;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int64_t output = byte % g.row_bytes() * 2 + i;
    if (output < g.row_outputs()) {
      const int64_t channel =
          (g.channels_last ? output : row / g.rows_out()) % g.channels;
      const T* top = x + window(g, row, output);
      const T* bottom = top + g.input_row();
      uint8_t code = 0;
      y[row * g.row_outputs() + output] = MaxPoolClip<T, kRelu>::forward(
          top[0], top[right], bottom[0], bottom[right], number_of<T>(t, channel), code);
      packed |= code << 4 * i;
    }
  }
  codes[byte] = static_cast<uint8_t>(packed);
}

struct NoLanes {
  struct Source {};
  __device__ NoLanes(const Source&, const Plan&, int64_t) {}
};

// A pack is two outputs: channels of one window, or windows of one channel.
template <typename T_>
struct PoolBackward {
  using T = T_;
  using Gradient = MaxPoolClipGradient<T>;
  static constexpr int kLanes = 2;
  static constexpr int kSums = 1;
  PoolGeometry geometry;
  const T* g;
  const uint8_t* codes;
  T* gx;

  __device__ void operator()(
      int64_t start, int count, const NoLanes&, LaneSums<kSums, kLanes>& sums) const {
    const Pack<T, kLanes> of_y = load<kLanes>(g + start, count);
    const int64_t right = geometry.interleaved();
    const int64_t down = geometry.input_row();
    uint8_t code[kLanes] = {};
    int64_t place[kLanes] = {};
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      if (lane < count) {
        const int64_t row = (start + lane) / geometry.row_outputs();
        const int64_t output = (start + lane) % geometry.row_outputs();
        place[lane] = window(geometry, row, output);
        code[lane] = code_of(row, output);
        sums.add(0, lane, widen(Gradient::of_threshold(of_y.at[lane], code[lane])));
      }
    }
    const auto of_x = [&](int lane, int which) {
      return Gradient::of(of_y.at[lane], code[lane], static_cast<uint8_t>(which));
    };
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (geometry.channels_last) {
        T* const to = gx + place[0] + i * down;
        store(to, Pack<T, 2>{of_x(0, 2 * i), of_x(1, 2 * i)}, count);
        store(to + right, Pack<T, 2>{of_x(0, 2 * i + 1), of_x(1, 2 * i + 1)}, count);
      } else {
#pragma unroll
        for (int lane = 0; lane < kLanes; ++lane) {
          if (lane < count) {
            store(
                gx + place[lane] + i * down,
                Pack<T, 2>{of_x(lane, 2 * i), of_x(lane, 2 * i + 1)}, 2);
          }
        }
      }
    }
  }

  __device__ uint8_t code_of(int64_t row, int64_t output) const {
    const uint8_t both = codes[row * geometry.row_bytes() + output / 2];
    return output % 2 == 0 ? both & 15u : both >> 4;
  }
};

}  // namespace
}  // namespace cuda

using namespace cuda;

Pooled Cuda::max_pool_clip(const View& given, const View& t, bool relu) {
  require_floating(given, "the activations");
  const PoolGeometry g = pool_geometry(given);
  require_pool_threshold(given, t, g.channels);
  const Laid x(given, g.strides(given.shape()), given.dtype);
  const Launcher launcher(given);
  Pooled pooled{
      empty(g.outputs(), g.strides(g.outputs()), given.dtype, given),
      empty_contiguous({g.rows(), g.row_bytes()}, aoti_torch_dtype_uint8(), given)};
  with_type(dtype_of(given), [&](auto type) {
    using T = decltype(type);
    launcher.launch(
        ceil_divide(g.rows() * g.row_bytes(), kThreads), kThreads,
        relu ? pool<T, true> : pool<T, false>, g, Parameter(t), data<const T>(x.view),
        data<T>(pooled.y), data<uint8_t>(pooled.codes));
  });
  return pooled;
}

PoolGradients Cuda::max_pool_clip_backward(
    const View& given_g, const View& codes, const View& t, const PoolShape& shape) {
  require_floating(given_g, "the gradient");
  PoolGeometry geometry = pool_geometry(given_g, codes, shape);
  require_pool_threshold(given_g, t, geometry.channels);
  // One channel lies in memory the same way either way, but has no neighbouring channel.
  geometry.channels_last &= geometry.channels > 1;
  const Laid g(given_g, geometry.strides(geometry.outputs()), given_g.dtype);
  const Launcher launcher(given_g);
  PoolGradients gradients;
  gradients.x =
      empty(geometry.inputs(), geometry.strides(geometry.inputs()), given_g.dtype, given_g);
  const int64_t windows = geometry.rows_out() * geometry.columns_out();
  const Geometry outputs = geometry.channels_last
      ? Geometry{geometry.batch * windows, geometry.channels, 1}
      : Geometry{geometry.batch, geometry.channels, windows};
  const Partial partial = with_type(dtype_of(given_g), [&](auto type) {
    using T = decltype(type);
    using Task = PoolBackward<T>;
    T* const gx = data<T>(gradients.x);
    if (geometry.height % 2 == 1 || geometry.width % 2 == 1) {  // no window covers the last
      launcher.clear(gx, View(gradients.x.get()).numel * static_cast<int64_t>(sizeof(T)));
    }
    return run_backward<NoLanes>(
        launcher, Plan(outputs, Task::kLanes), {},
        Task{geometry, data<T>(g.view), data<uint8_t>(codes), gx}, given_g);
  });
  gradients.t = gradient_of(launcher, t, partial, 0, 1);
  return gradients;
}

}  // namespace actclip
