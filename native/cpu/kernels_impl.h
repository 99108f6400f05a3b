// The kernels' loops, written for a compiler to vectorise. Each file that includes this is compiled
// for another processor; everything here has internal linkage (see dtypes.h), and nothing of the
// standard library's is used that might not.
#pragma once

#include "cpu/kernels.h"

// No two elements of a loop share memory, nor do the sums of two lanes.
#ifdef __clang__
#define ACTCLIP_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define ACTCLIP_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace actclip::cpu {
namespace {

struct LaneSums {
  double* sums;
  int lanes;

  template <typename W>
  void add(int sum, int lane, W value) {
    sums[sum * lanes + lane] += static_cast<double>(value);
  }

  template <typename W>
  void add_product(int sum, int lane, W a, W b) {
    sums[sum * lanes + lane] += static_cast<double>(a) * static_cast<double>(b);
  }
};

// How many lanes the row has that begins at `start`: the last one may be shorter.
inline int lanes_at(int64_t elements, int lanes, int64_t start) {
  const int64_t rest = elements - start;
  return rest < lanes ? static_cast<int>(rest) : lanes;
}

template <typename Op>
void forward(const Block& block, typename Op::Parameters p) {
  using T = typename Op::T;
  for (int64_t start = 0; start < block.elements; start += block.lanes) {
    const T* x = static_cast<const T*>(block.x) + start;
    T* y = static_cast<T*>(block.y) + start;
    const int lanes = lanes_at(block.elements, block.lanes, start);
    ACTCLIP_INDEPENDENT
    for (int lane = 0; lane < lanes; ++lane) {
      y[lane] = Op::forward(x[lane], p, lane);
    }
  }
}

template <typename Op, bool kFates>
void forward_in_place(const Block& block, typename Op::Parameters p) {
  using T = typename Op::T;
  for (int64_t start = 0; start < block.elements; start += block.lanes) {
    T* y = static_cast<T*>(block.y) + start;
    uint8_t* fates = kFates ? block.fates + start : nullptr;
    const int lanes = lanes_at(block.elements, block.lanes, start);
    ACTCLIP_INDEPENDENT
    for (int lane = 0; lane < lanes; ++lane) {
      uint8_t fate;
      y[lane] = Op::forward(y[lane], p, lane, fate);
      if constexpr (kFates) {
        fates[lane] = fate;
      }
    }
  }
}

template <typename Op>
void in_place(const Block& block, typename Op::Parameters p) {
  if (block.fates == nullptr) {
    forward_in_place<Op, false>(block, p);
  } else {
    forward_in_place<Op, true>(block, p);
  }
}

// Writes what is passed on of g.
template <typename T>
ACTCLIP_FUNCTION void passed_row(const Block& block, int64_t start, int lanes) {
  const T* g = static_cast<const T*>(block.g) + start;
  const uint8_t* fates = block.fates + start;
  T* y = static_cast<T*>(block.y) + start;
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    y[lane] = gradient_of_fate(g[lane], fates[lane], kPassed);
  }
}

template <typename Op>
ACTCLIP_FUNCTION void above_row(
    const Block& block, const typename Op::Parameters& p, int64_t start, int lanes, LaneSums sums) {
  using T = typename Op::T;
  const T* g = static_cast<const T*>(block.g) + start;
  const uint8_t* fates = block.fates + start;
  uint8_t all = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    all |= fates[lane];
  }
  if ((all & kAbove) == 0) {
    return;  // as most are: half of the time
  }
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    Op::add_above(gradient_of_fate(g[lane], fates[lane], kAbove), p, lane, sums);
  }
}

template <typename Op>
ACTCLIP_FUNCTION void fates_row(
    const Block& block, const typename Op::Parameters& p, int64_t start, int lanes, LaneSums sums) {
  passed_row<typename Op::T>(block, start, lanes);
  above_row<Op>(block, p, start, lanes, sums);
}

template <typename Op>
ACTCLIP_FUNCTION void backward_row(
    const Block& block, const typename Op::Parameters& p, int64_t start, int lanes, LaneSums sums) {
  using T = typename Op::T;
  const T* g = static_cast<const T*>(block.g) + start;
  const T* x = static_cast<const T*>(block.x) + start;
  T* y = static_cast<T*>(block.y) + start;
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    y[lane] = Op::backward(g[lane], x[lane], p, lane, sums);
  }
}

template <typename Op>
ACTCLIP_FUNCTION void statistics_row(
    const Block& block, const typename Op::Parameters& p, int64_t start, int lanes, LaneSums sums) {
  using T = typename Op::T;
  const T* g = static_cast<const T*>(block.g) + start;
  const T* x = static_cast<const T*>(block.x) + start;
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    Op::backward(g[lane], x[lane], p, lane, sums);
  }
}

template <typename Op>
using Row = void (*)(const Block&, const typename Op::Parameters&, int64_t, int, LaneSums);

// Lanes are summed in tiles of a number that compilers know: they keep those sums in registers if there
// are enough, as with AVX-512, and a clip's backward is then a fifth to a third faster.
template <typename Op, Row<Op> kRow>
void sum_rows(const Block& block, typename Op::Parameters p) {
  const int64_t whole = block.elements / block.lanes * block.lanes;
  int tile = 0;
  for (; tile + kLeastLanes <= block.lanes; tile += kLeastLanes) {
    double sums[Op::kSums * kLeastLanes];
    for (int i = 0; i < Op::kSums * kLeastLanes; ++i) {
      sums[i] = block.sums[i / kLeastLanes * block.lanes + tile + i % kLeastLanes];
    }
    for (int64_t start = tile; start < whole; start += block.lanes) {
      kRow(block, p.from(tile), start, kLeastLanes, {sums, kLeastLanes});
    }
    for (int i = 0; i < Op::kSums * kLeastLanes; ++i) {
      block.sums[i / kLeastLanes * block.lanes + tile + i % kLeastLanes] = sums[i];
    }
  }
  if (tile < block.lanes) {
    for (int64_t start = tile; start < whole; start += block.lanes) {
      kRow(block, p.from(tile), start, block.lanes - tile, {block.sums + tile, block.lanes});
    }
  }
  if (whole < block.elements) {
    const int lanes = static_cast<int>(block.elements - whole);
    kRow(block, p, whole, lanes, {block.sums, block.lanes});
  }
}

template <typename Op>
void backward(const Block& block, typename Op::Parameters p) {
  sum_rows<Op, backward_row<Op>>(block, p);
}

template <typename Op>
void statistics(const Block& block, typename Op::Parameters p) {
  sum_rows<Op, statistics_row<Op>>(block, p);
}

template <typename Op>
void backward_of_fates(const Block& block, typename Op::Parameters p) {
  sum_rows<Op, fates_row<Op>>(block, p);
}

// The parameters as an operation takes them.

template <typename T, bool kRelu, bool kBelow>
typename Clip<T, kRelu, kBelow>::Parameters clip_parameters(const Block& block) {
  return {static_cast<const T*>(block.parameters[0]), static_cast<const T*>(block.parameters[1]),
          static_cast<const T*>(block.parameters[2])};
}

template <typename T>
typename FakeQuantize<T>::Parameters quantizer_parameters(const Block& block) {
  using W = Wide<T>;
  return {static_cast<const W*>(block.parameters[0]), static_cast<const W*>(block.parameters[1]),
          static_cast<W>(block.low), static_cast<W>(block.high)};
}

}  // namespace
}  // namespace actclip::cpu

#include "cpu/norm_impl.h"

namespace actclip::cpu {
namespace {

// The kernels, by what is only known when they are called.

template <typename T, bool kRelu, bool kBelow>
Kernel find_clip(Operation operation) {
  switch (operation) {
    case Operation::kClip:
      return [](const Block& b) {
        forward<Clip<T, kRelu, kBelow>>(b, clip_parameters<T, kRelu, kBelow>(b));
      };
    case Operation::kClipBackward:
      return [](const Block& b) {
        backward<Clip<T, kRelu, kBelow>>(b, clip_parameters<T, kRelu, kBelow>(b));
      };
    default:
      return [](const Block& b) {
        statistics<ClipStatistics<T, kRelu, kBelow>>(b, clip_parameters<T, kRelu, kBelow>(b));
      };
  }
}

template <typename T, ScaleGradient kScale>
void quantize_backward(const Block& b) {
  backward<FakeQuantizeGradient<T, kScale>>(b, quantizer_parameters<T>(b));
}

template <typename T>
Kernel find_quantizer_backward(ScaleGradient scale_gradient) {
  switch (scale_gradient) {
    case ScaleGradient::kClipped:
      return quantize_backward<T, ScaleGradient::kClipped>;
    case ScaleGradient::kRounded:
      return quantize_backward<T, ScaleGradient::kRounded>;
    default:
      return quantize_backward<T, ScaleGradient::kRoundedAndScaled>;
  }
}

template <typename T>
Kernel find_of_dtype(const Variant& v) {
  switch (v.operation) {
    case Operation::kFakeQuantize:
      return [](const Block& b) { forward<FakeQuantize<T>>(b, quantizer_parameters<T>(b)); };
    case Operation::kFakeQuantizeBackward:
      return find_quantizer_backward<T>(v.scale_gradient);
    case Operation::kReluClip:
      return [](const Block& b) { in_place<ReluClip<T>>(b, clip_parameters<T, true, false>(b)); };
    case Operation::kReluClipBackward:
      return [](const Block& b) {
        backward_of_fates<ReluClip<T>>(b, clip_parameters<T, true, false>(b));
      };
    case Operation::kReluFakeQuantize:
      return [](const Block& b) { in_place<ReluFakeQuantize<T>>(b, quantizer_parameters<T>(b)); };
    case Operation::kReluFakeQuantizeBackward:
      return [](const Block& b) {
        backward_of_fates<ReluFakeQuantize<T>>(b, quantizer_parameters<T>(b));
      };
    default:
      break;
  }
  if (v.relu) {
    return v.below ? find_clip<T, true, true>(v.operation) : find_clip<T, true, false>(v.operation);
  }
  return v.below ? find_clip<T, false, true>(v.operation) : find_clip<T, false, false>(v.operation);
}

Kernel find(Dtype dtype, const Variant& variant) {
  if (variant.operation >= Operation::kNormSums) {
    return find_norm(variant.operation);
  }
  switch (dtype) {
    case Dtype::kFloat32:
      return find_of_dtype<float>(variant);
    case Dtype::kFloat64:
      return find_of_dtype<double>(variant);
    case Dtype::kBFloat16:
      return find_of_dtype<BFloat16>(variant);
    default:
      return find_of_dtype<Half>(variant);
  }
}

// Pooling. A row's codes are first made a byte each, which compilers vectorise, and then packed.

inline void pack(const uint8_t* codes, uint8_t* packed, int64_t count) {
  for (int64_t i = 0; i < count / 2; ++i) {
    packed[i] = static_cast<uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
  if (count % 2 == 1) {
    packed[count / 2] = codes[count - 1];
  }
}

inline void unpack(const uint8_t* packed, uint8_t* codes, int64_t count) {
  for (int64_t i = 0; i < count / 2; ++i) {
    codes[2 * i] = packed[i] & 15u;
    codes[2 * i + 1] = static_cast<uint8_t>(packed[i] >> 4);
  }
  if (count % 2 == 1) {
    codes[count - 1] = packed[count / 2] & 15u;
  }
}

// One row of outputs. Neighbours in a row of inputs are kStep apart: the number of channels, or 0
// for one that is only known when it is called.
template <typename T, bool kRelu, int kStep, bool kCodes>
void pool_row_with(const PoolRow& row) {
  const T* thresholds = static_cast<const T*>(row.thresholds);
  const int64_t step = kStep == 0 ? row.channels : kStep;
  // Read once: for all that compilers know, what is stored below might change it.
  const int64_t run = kStep == 0 ? step : row.outputs;
  int64_t place = 0;
  for (int64_t out = 0; out < row.outputs; out += run, place += row.y_step) {
    const T* top = static_cast<const T*>(row.top) + 2 * out;
    const T* bottom = static_cast<const T*>(row.bottom) + 2 * out;
    T* y = static_cast<T*>(row.y) + place;
    uint8_t* codes = row.scratch + out;
    ACTCLIP_INDEPENDENT
    for (int64_t i = 0; i < run; ++i) {
      const int64_t in = kStep == 0 ? i : 2 * i;
      uint8_t code;
      y[i] = MaxPoolClip<T, kRelu>::forward(
          top[in], top[in + step], bottom[in], bottom[in + step], thresholds[kStep == 0 ? i : 0],
          code);
      if constexpr (kCodes) {
        codes[i] = code;
      }
    }
    if (kCodes && row.y_step != run) {
      pack(codes, row.codes + place / 2, run);
    }
  }
  if (kCodes && row.y_step == run) {
    pack(row.scratch, row.codes, row.outputs);
  }
}

template <typename T, bool kRelu, int kStep>
void pool_row(const PoolRow& row) {
  if (row.codes == nullptr) {
    pool_row_with<T, kRelu, kStep, false>(row);
  } else {
    pool_row_with<T, kRelu, kStep, true>(row);
  }
}
template <typename T, int kStep>
void pool_row_backward(const PoolRowBackward& row) {
  unpack(row.codes, row.scratch, row.outputs);
  const int64_t step = kStep == 0 ? row.channels : kStep;
  const int64_t run = kStep == 0 ? step : row.outputs;
  using Gradient = MaxPoolClipGradient<T>;
  for (int64_t out = 0; out < row.outputs; out += run) {
    const T* g = static_cast<const T*>(row.g) + out;
    const uint8_t* codes = row.scratch + out;
    T* top = static_cast<T*>(row.top) + 2 * out;
    T* bottom = static_cast<T*>(row.bottom) + 2 * out;
    ACTCLIP_INDEPENDENT
    for (int64_t i = 0; i < run; ++i) {
      const int64_t in = kStep == 0 ? i : 2 * i;
      top[in] = Gradient::of(g[i], codes[i], 0);
      top[in + step] = Gradient::of(g[i], codes[i], 1);
      bottom[in] = Gradient::of(g[i], codes[i], 2);
      bottom[in + step] = Gradient::of(g[i], codes[i], 3);
    }
  }
  for (int64_t i = 0; i < row.outputs; i += row.lanes) {
    const T* g = static_cast<const T*>(row.g) + i;
    const uint8_t* codes = row.scratch + i;
    const int lanes = lanes_at(row.outputs, row.lanes, i);
    ACTCLIP_INDEPENDENT
    for (int lane = 0; lane < lanes; ++lane) {
      row.sums[lane] += static_cast<double>(widen(Gradient::of_threshold(g[lane], codes[lane])));
    }
  }
}

template <typename T>
PoolKernel find_pool_of_dtype(bool relu, bool channels_last) {
  if (relu) {
    return channels_last ? pool_row<T, true, 0> : pool_row<T, true, 1>;
  }
  return channels_last ? pool_row<T, false, 0> : pool_row<T, false, 1>;
}

PoolKernel find_pool(Dtype dtype, bool relu, bool channels_last) {
  switch (dtype) {
    case Dtype::kFloat32:
      return find_pool_of_dtype<float>(relu, channels_last);
    case Dtype::kFloat64:
      return find_pool_of_dtype<double>(relu, channels_last);
    case Dtype::kBFloat16:
      return find_pool_of_dtype<BFloat16>(relu, channels_last);
    default:
      return find_pool_of_dtype<Half>(relu, channels_last);
  }
}

template <typename T>
PoolBackwardKernel find_pool_backward_of_dtype(bool channels_last) {
  return channels_last ? pool_row_backward<T, 0> : pool_row_backward<T, 1>;
}

PoolBackwardKernel find_pool_backward(Dtype dtype, bool channels_last) {
  switch (dtype) {
    case Dtype::kFloat32:
      return find_pool_backward_of_dtype<float>(channels_last);
    case Dtype::kFloat64:
      return find_pool_backward_of_dtype<double>(channels_last);
    case Dtype::kBFloat16:
      return find_pool_backward_of_dtype<BFloat16>(channels_last);
    default:
      return find_pool_backward_of_dtype<Half>(channels_last);
  }
}

constexpr Kernels kKernels{find, find_pool, find_pool_backward, {}};
}  // namespace
}  // namespace actclip::cpu
