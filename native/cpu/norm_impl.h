// The loops of batch normalisation and of what limits it, which kernels_impl.h includes.
#pragma once

#include "cpu/kernels_impl.h"

namespace actclip::cpu {
namespace {

inline Normalization normalization(const Block& block) {
  return {block.norm[0], block.norm[1], block.norm[2]};
}

template <typename Op, bool kFates, bool kAdds>
void norm_forward(const Block& block, typename Op::Parameters p) {
  const Normalization norm = normalization(block);
  for (int64_t start = 0; start < block.elements; start += block.lanes) {
    const float* x = static_cast<const float*>(block.x) + start;
    const float* addend = kAdds ? static_cast<const float*>(block.addend) + start : nullptr;
    float* y = static_cast<float*>(block.y) + start;
    uint8_t* fates = kFates ? block.fates + start : nullptr;
    const int lanes = lanes_at(block.elements, block.lanes, start);
    ACTCLIP_INDEPENDENT
    for (int lane = 0; lane < lanes; ++lane) {
      float normed = norm.of(x[lane], lane);
      if constexpr (kAdds) {
        normed += addend[lane];
      }
      uint8_t fate;
      y[lane] = Op::forward(normed, p, lane, fate);
      if constexpr (kFates) {
        fates[lane] = fate;
      }
    }
  }
}

template <typename Op>
void norm_limited(const Block& block, typename Op::Parameters p) {
  const bool fates = block.fates != nullptr;
  if (block.addend != nullptr) {
    fates ? norm_forward<Op, true, true>(block, p) : norm_forward<Op, false, true>(block, p);
  } else {
    fates ? norm_forward<Op, true, false>(block, p) : norm_forward<Op, false, false>(block, p);
  }
}

// Sums up what is above, what is passed on of g, and that times what x is above its mean. Writes
// what is passed on where there is memory for it.
template <typename Op>
struct NormGradient {
  using T = float;
  static constexpr int kSums = 3;

  struct Parameters {
    typename Op::Parameters limit;
    const float* mean;

    ACTCLIP_FUNCTION Parameters from(int lane) const { return {limit.from(lane), mean + lane}; }
  };
};

template <typename Op>
ACTCLIP_FUNCTION void norm_gradient_row(
    const Block& block, const typename NormGradient<Op>::Parameters& p, int64_t start, int lanes,
    LaneSums sums) {
  above_row<Op>(block, p.limit, start, lanes, sums);
  if (block.y != nullptr) {
    passed_row<float>(block, start, lanes);
  }
  const float* g = static_cast<const float*>(block.g) + start;
  const uint8_t* fates = block.fates + start;
  const float* x = static_cast<const float*>(block.x) + start;
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    const float passed = gradient_of_fate(g[lane], fates[lane], kPassed);
    sums.add(1, lane, passed);
    sums.add_product(2, lane, passed, x[lane] - p.mean[lane]);
  }
}

template <typename Op>
void norm_gradient_sums(const Block& block, typename Op::Parameters p) {
  sum_rows<NormGradient<Op>, norm_gradient_row<Op>>(block, {p, block.norm[2]});
}

struct NormSums {
  struct Parameters {
    ACTCLIP_FUNCTION Parameters from(int) const { return {}; }
  };

  static constexpr int kSums = 2;
};

ACTCLIP_FUNCTION void norm_sums_row(
    const Block& block, const NormSums::Parameters&, int64_t start, int lanes, LaneSums sums) {
  const float* x = static_cast<const float*>(block.x) + start;
  ACTCLIP_INDEPENDENT
  for (int lane = 0; lane < lanes; ++lane) {
    sums.add(0, lane, x[lane]);
    sums.add_product(1, lane, x[lane], x[lane]);
  }
}

inline void norm_backward(const Block& block) {
  const Normalization norm = normalization(block);
  for (int64_t start = 0; start < block.elements; start += block.lanes) {
    const float* g = static_cast<const float*>(block.g) + start;
    const uint8_t* fates = block.fates + start;
    const float* x = static_cast<const float*>(block.x) + start;
    float* y = static_cast<float*>(block.y) + start;
    const int lanes = lanes_at(block.elements, block.lanes, start);
    ACTCLIP_INDEPENDENT
    for (int lane = 0; lane < lanes; ++lane) {
      y[lane] = norm.gradient(gradient_of_fate(g[lane], fates[lane], kPassed), x[lane], lane);
    }
  }
}

Kernel find_norm(Operation operation) {
  switch (operation) {
    case Operation::kNormSums:
      return [](const Block& b) { sum_rows<NormSums, norm_sums_row>(b, {}); };
    case Operation::kNormClip:
      return [](const Block& b) {
        norm_limited<ReluClip<float>>(b, clip_parameters<float, true, false>(b));
      };
    case Operation::kNormClipSums:
      return [](const Block& b) {
        norm_gradient_sums<ReluClip<float>>(b, clip_parameters<float, true, false>(b));
      };
    case Operation::kNormFakeQuantize:
      return [](const Block& b) {
        norm_limited<ReluFakeQuantize<float>>(b, quantizer_parameters<float>(b));
      };
    case Operation::kNormFakeQuantizeSums:
      return [](const Block& b) {
        norm_gradient_sums<ReluFakeQuantize<float>>(b, quantizer_parameters<float>(b));
      };
    default:
      return norm_backward;
  }
}

}  // namespace
}  // namespace actclip::cpu
