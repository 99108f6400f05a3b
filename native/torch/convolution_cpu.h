// The convolution of our own: float32 and channels-last, stride 1, no padding.
#pragma once

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
