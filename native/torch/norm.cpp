#include "torch/norm.h"

#include "torch/normalization.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

using cpu::Operation;
using cpu::Variant;

// It takes longer for an element than what only clips, and is worth another thread earlier.
constexpr int64_t kGrain = kGrainElements / 4;

int64_t channels_of(const View& x) { return x.sizes[1]; }

// Rows of all channels.
Plan plan_of(const View& x) {
  return Plan({x.numel / std::max<int64_t>(1, channels_of(x)), channels_of(x), 1});
}

Moments moments_of(const Plan& plan, const View& x) {
  const std::vector<double> sums = run(
      plan, Dtype::kFloat32, Variant{Operation::kNormSums}, 2,
      {nullptr, bytes_of(x), nullptr, nullptr}, [](cpu::Block&, int64_t) {}, kGrain);
  const auto channels = static_cast<size_t>(plan.geometry.channels);
  const auto count = static_cast<double>(plan.geometry.outer);
  Moments moments{std::vector<double>(channels), std::vector<double>(channels)};
  for (size_t c = 0; c < channels; ++c) {
    const double mean = sums[c] / count;
    const double variance = sums[channels + c] / count - mean * mean;
    moments.mean[c] = mean;
    moments.variance[c] = variance < 0 ? 0 : variance;  // a NaN stays one, for all of its channel
  }
  return moments;
}

void move(const View& running, double momentum, size_t channel, double to) {
  float& number = static_cast<float*>(running.data())[channel];
  number = static_cast<float>(momentum * to + (1 - momentum) * static_cast<double>(number));
}

void move_running(const Norm& norm, const Moments& moments, double count) {
  for (size_t c = 0; c < moments.mean.size(); ++c) {
    move(norm.running_mean, norm.momentum, c, moments.mean[c]);
    move(norm.running_var, norm.momentum, c, moments.variance[c] * (count / (count - 1)));
  }
}

// Of a gradient, by channel: what is above, what is passed on, and what the weight gets of that.
struct Sums {
  std::vector<double> above;
  std::vector<double> passed;
  std::vector<double> by_weight;
};

// Writes what is passed on, where there is memory for it.
Sums sum_up(const Plan& plan, const Limit& limit, const Memory& memory, const View& statistics) {
  const float* mean = floats(statistics);
  const float* inverse = mean + plan.geometry.channels;
  const ByLane means(plan, [&](int64_t c) { return mean[c]; });
  const Operation operation =
      limit.high == 0 ? Operation::kNormClipSums : Operation::kNormFakeQuantizeSums;
  const std::vector<double> all = with_limit(plan, Dtype::kFloat32, limit, [&](const auto& fill) {
    return run(
        plan, Dtype::kFloat32, Variant{operation}, 3, memory,
        [&](cpu::Block& block, int64_t channel) {
          fill(block, channel);
          block.norm[2] = means.data();
        },
        kGrain);
  });
  const auto channels = static_cast<std::ptrdiff_t>(plan.geometry.channels);
  const auto begin = all.begin();
  Sums sums{{begin, begin + channels}, {begin + channels, begin + 2 * channels},
            {begin + 2 * channels, all.end()}};
  for (size_t c = 0; c < sums.by_weight.size(); ++c) {
    sums.by_weight[c] *= static_cast<double>(inverse[c]);
  }
  return sums;
}

// Writes the gradient by x.
void differentiate(
    const Plan& plan, const Memory& memory, const View& statistics, const View& weight,
    const Sums& sums) {
  const float* weights = floats(weight);
  const float* mean = floats(statistics);
  const float* inverse = mean + plan.geometry.channels;
  const auto count = static_cast<double>(plan.geometry.outer);
  const auto scale = [&](int64_t c) {
    return static_cast<double>(weights[c]) * static_cast<double>(inverse[c]);
  };
  const auto slope = [&](int64_t c) {
    const double by_weight = sums.by_weight[static_cast<size_t>(c)];
    return -scale(c) * by_weight * static_cast<double>(inverse[c]) / count;
  };
  const auto constant = [&](int64_t c) {
    const double passed = sums.passed[static_cast<size_t>(c)];
    return -scale(c) * passed / count - slope(c) * static_cast<double>(mean[c]);
  };
  const ByLane first(plan, [&](int64_t c) { return static_cast<float>(scale(c)); });
  const ByLane second(plan, [&](int64_t c) { return static_cast<float>(slope(c)); });
  const ByLane third(plan, [&](int64_t c) { return static_cast<float>(constant(c)); });
  run(plan, Dtype::kFloat32, Variant{Operation::kNormBackward}, 0, memory,
      [&](cpu::Block& block, int64_t) {
        block.norm[0] = first.data();
        block.norm[1] = second.data();
        block.norm[2] = third.data();
      },
      kGrain);
}

bool is_parameter(AtenTensorHandle parameter, const View& x) {
  if (!is_float_on_cpu(parameter)) {
    return false;
  }
  const View view(parameter);
  return view.numel == 1 || find_channel_dimension(x, view) == 1;
}

}  // namespace

bool suit_norm(
    AtenTensorHandle given, AtenTensorHandle addend,
    std::initializer_list<AtenTensorHandle> of_channels, AtenTensorHandle first,
    AtenTensorHandle second) {
  if (!is_float_on_cpu(given) || !is_channels_last(View(given))) {
    return false;
  }
  const View x(given);
  const int64_t channels = channels_of(x);
  if (channels == 0 || channels > kChannelsThatPay || x.numel / channels < 2) {
    return false;
  }
  const bool fit = are_of_channels(of_channels, channels) && suits_as_addend(addend, x.shape());
  return fit && is_parameter(first, x) && (second == nullptr || is_parameter(second, x));
}

Normed norm_limit(
    const View& x, const View& addend, const Norm& norm, const Limit& limit, bool recorded) {
  const Plan plan = plan_of(x);
  const Moments moments = norm.training ? moments_of(plan, x) : running_of(norm);
  if (norm.training) {
    move_running(norm, moments, static_cast<double>(plan.geometry.outer));
  }
  const std::vector<double> statistics = statistics_of(moments, norm.eps);
  const Scaling scaling(plan, norm, statistics);
  Normed normed;
  normed.y = empty(x.shape(), Laid::strides_of(x), x.dtype, x);
  if (recorded) {
    normed.fates = empty(x.shape(), Laid::strides_of(x), aoti_torch_dtype_uint8(), x);
    normed.statistics = rounded(
        statistics.data(), static_cast<int64_t>(statistics.size()), {2, channels_of(x)}, x.dtype, x);
  }
  uint8_t* fates =
      recorded ? static_cast<uint8_t*>(data_of_new(normed.fates)) : nullptr;
  const Operation operation =
      limit.high == 0 ? Operation::kNormClip : Operation::kNormFakeQuantize;
  Memory memory{nullptr, bytes_of(x), bytes_of_new(normed.y), fates};
  memory.addend = addend ? bytes_of(addend) : nullptr;
  with_limit(plan, Dtype::kFloat32, limit, [&](const auto& fill) {
    run(plan, Dtype::kFloat32, Variant{operation}, 0, memory,
        [&](cpu::Block& block, int64_t channel) {
          fill(block, channel);
          block.norm[0] = scaling.scale.data();
          block.norm[1] = scaling.shift.data();
        },
        kGrain);
  });
  return normed;
}

NormGradients norm_limit_backward(
    const View& given_g, const View& fates, const View& x, const View& statistics,
    const View& weight, const Limit& limit, bool by_addend) {
  const Plan plan = plan_of(x);
  const Laid g = laid_like(given_g, x);
  NormGradients gradients;
  gradients.x = empty(x.shape(), Laid::strides_of(x), x.dtype, x);
  if (by_addend) {
    gradients.addend = empty(x.shape(), Laid::strides_of(x), x.dtype, x);
  }
  auto* fate = static_cast<uint8_t*>(fates.data());
  char* passed = by_addend ? bytes_of_new(gradients.addend) : nullptr;
  const Sums sums =
      sum_up(plan, limit, {bytes_of(g.view), bytes_of(x), passed, fate}, statistics);
  differentiate(
      plan, {bytes_of(g.view), bytes_of(x), bytes_of_new(gradients.x), fate}, statistics, weight,
      sums);
  const int64_t channels = plan.geometry.channels;
  gradients.limit = gradient_of(limit.first, sums.above.data(), channels, 1);
  gradients.weight = gradient_of(weight, sums.by_weight.data(), channels, 1);
  gradients.bias = gradient_of(weight, sums.passed.data(), channels, 1);
  return gradients;
}

}  // namespace actclip
