// The convolution of our own: float32 and channels-last, stride 1, no padding.
#pragma once

#include <memory>
#include <new>

#include "torch/convolution.h"
#include "torch/cpu.h"
#include "torch/pool.h"

namespace actclip {

struct ConvolutionShape {
  int64_t images;
  int64_t inputs;  // channels
  int64_t height;
  int64_t width;
  int64_t outputs;  // channels
  int64_t kernel_height;
  int64_t kernel_width;

  ConvolutionShape(const View& x, const View& weight)
      : images(x.sizes[0]), inputs(x.sizes[1]), height(x.sizes[2]), width(x.sizes[3]),
        outputs(weight.sizes[0]), kernel_height(weight.sizes[2]), kernel_width(weight.sizes[3]) {}

  int64_t input_row() const { return width * inputs; }
  int64_t taps() const { return kernel_width * inputs; }  // in a row of the kernel
  int64_t all_taps() const { return kernel_height * taps(); }

  // What is pooled.
  PoolGeometry convolved() const {
    return {images, outputs, height - kernel_height + 1, width - kernel_width + 1, true};
  }
};

// What of the weights and of the sums is worked on at a time, in numbers: both stay in the first cache.
constexpr int64_t kCachedWeights = 6 << 10;
constexpr int64_t kCachedSums = 4 << 10;

// A vector that lies across two lines of the cache takes twice as long to load.
constexpr std::align_val_t kLine{64};

struct Free {
  void operator()(float* numbers) const { operator delete[](numbers, kLine); }
};

using Numbers = std::unique_ptr<float[], Free>;

// Not cleared.
inline Numbers numbers(int64_t count) {
  return Numbers(
      static_cast<float*>(operator new[](static_cast<size_t>(count) * sizeof(float), kLine)));
}

// How many units, rows of outputs of so many products, a thread takes at a time: several turns for each
// thread, and whole images, if there is enough for that.
inline int64_t turn_of(int64_t units, int64_t products, int64_t rows) {
  // A thread gets at least so many products: to wake it for fewer takes longer than to do without it.
  constexpr int64_t kGrainProducts = int64_t{1} << 18;
  // And in a turn, if there are several, so many: with fewer, weights are read too often.
  constexpr int64_t kTurnProducts = int64_t{1} << 20;
  constexpr int64_t kLeastTurns = 4;
  constexpr int64_t kMostTurns = 16;
  const int64_t share = ceil_divide(units, num_threads());
  const int64_t turns = std::min(kMostTurns, share * products / kTurnProducts);
  const int64_t turn = turns < kLeastTurns ? share : ceil_divide(share, turns);
  const int64_t even = turn < share && 2 * turn > rows ? ceil_divide(turn, rows) * rows : turn;
  return std::max({even, ceil_divide(kGrainProducts, products), int64_t{1}});
}

// More weights do not stay in the second cache, and backward needs them for each chunk of images.
constexpr int64_t kMostWeights = int64_t{1} << 18;

inline float* numbers_of(const View& x) { return static_cast<float*>(x.data()); }

// All kernels work on so many channels together: a processor without them has none.
inline const cpu::Convolution& convolution_kernel() { return kernels().convolution; }

// Of what suits: see suit_convolution.
Pooled convolve_pool_clip(
    const View& x, const View& weight, const View& bias, const View& t, bool codes);

ConvolutionGradients convolve_pool_clip_backward(
    const View& g, const View& codes, const View& x, const View& weight, const View& t, bool by_x,
    bool by_weight);

}  // namespace actclip
