// What batch normalisation multiplies each channel by, and adds to it.
#pragma once

#include <cmath>

#include "torch/blocks.h"
#include "torch/norm.h"

namespace actclip {

inline const float* floats(const View& x) { return static_cast<const float*>(x.data()); }

// Of each channel's number one for each lane.
class ByLane {
 public:
  template <typename Number>
  ByLane(const Plan& plan, const Number& number) : numbers_(static_cast<size_t>(plan.lanes)) {
    const auto channels = static_cast<size_t>(plan.geometry.channels);
    for (size_t i = 0; i < numbers_.size(); ++i) {
      numbers_[i] = i < channels ? number(static_cast<int64_t>(i)) : numbers_[i - channels];
    }
  }

  const float* data() const { return numbers_.data(); }

 private:
  std::vector<float> numbers_;
};

// What it normalises by.
struct Moments {
  std::vector<double> mean;
  std::vector<double> variance;  // of all, not of a sample
};

inline Moments running_of(const Norm& norm) {
  const float* mean = floats(norm.running_mean);
  const float* variance = floats(norm.running_var);
  return {{mean, mean + norm.running_mean.numel}, {variance, variance + norm.running_var.numel}};
}

// By channel: the mean, and 1/sqrt(variance + eps).
inline std::vector<double> statistics_of(const Moments& moments, double eps) {
  std::vector<double> statistics = moments.mean;
  for (double variance : moments.variance) {
    statistics.push_back(1 / std::sqrt(variance + eps));
  }
  return statistics;
}

// By lane.
struct Scaling {
  ByLane scale;
  ByLane shift;

  Scaling(const Plan& plan, const Norm& norm, const std::vector<double>& statistics)
      : scale(plan, [&](int64_t c) { return static_cast<float>(factor(norm, statistics, c)); }),
        shift(plan, [&](int64_t c) {
          return static_cast<float>(
              static_cast<double>(floats(norm.bias)[c]) -
              statistics[static_cast<size_t>(c)] * factor(norm, statistics, c));
        }) {}

 private:
  static double factor(const Norm& norm, const std::vector<double>& statistics, int64_t c) {
    const size_t channels = statistics.size() / 2;
    return statistics[channels + static_cast<size_t>(c)] *
        static_cast<double>(floats(norm.weight)[c]);
  }
};

}  // namespace actclip
