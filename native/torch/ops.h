// The operations on tensors, for one kind of device each. Arguments are the caller's; results too.
// They throw std::runtime_error with one line when an argument does not suit.
#pragma once

#include "actclip/formulas.h"
#include "torch/tensor.h"

namespace actclip {

// The thresholds of a clip, each of one element or of one for each channel. `value`, which replaces
// what is above hi, is hi itself when there is none; nothing is clipped from below without lo.
struct Limits {
  View hi;
  View lo;
  View value;
  bool relu;

  const View& value_or_hi() const { return value ? value : hi; }
};

struct Quantizer {
  View scale;
  View offset;
  int64_t low;
  int64_t high;
};

// What limits behind relu: a clip by the first parameter; or, where high is not 0, a quantizer of codes
// from 0 to high by a scale and an offset, whose scale gets its gradient from what is above the last.
struct Limit {
  View first;
  View second;
  int64_t high;
};

struct ClipGradients {
  Tensor x;
  Tensor hi;  // by value, when there is one
  Tensor lo;
};

struct QuantizerGradients {
  Tensor x;
  Tensor scale;
  Tensor offset;
};

struct Pooled {
  Tensor y;
  Tensor codes;  // (rows of outputs, bytes), uint8
};

struct PoolGradients {
  Tensor x;
  Tensor t;
};

// What forward leaves for backward is not x itself: only its size, and how y lies in memory.
struct PoolShape {
  int64_t height;
  int64_t width;
  bool channels_last;
};

struct Cpu {
  static Tensor clip(const View& x, const Limits& limits);
  static ClipGradients clip_backward(const View& g, const View& x, const Limits& limits);
  static Tensor clip_statistics(const View& g, const View& x, const Limits& limits);
  static Pooled max_pool_clip(const View& x, const View& t, bool relu);
  static PoolGradients max_pool_clip_backward(
      const View& g, const View& codes, const View& t, const PoolShape& shape);
  static Tensor fake_quantize(const View& x, const Quantizer& quantizer);
  static QuantizerGradients fake_quantize_backward(
      const View& g, const View& x, const Quantizer& quantizer, ScaleGradient scale_gradient);
};

struct Cuda {
  static Tensor clip(const View& x, const Limits& limits);
  static ClipGradients clip_backward(const View& g, const View& x, const Limits& limits);
  static Tensor clip_statistics(const View& g, const View& x, const Limits& limits);
  static Pooled max_pool_clip(const View& x, const View& t, bool relu);
  static PoolGradients max_pool_clip_backward(
      const View& g, const View& codes, const View& t, const PoolShape& shape);
  static Tensor fake_quantize(const View& x, const Quantizer& quantizer);
  static QuantizerGradients fake_quantize_backward(
      const View& g, const View& x, const Quantizer& quantizer, ScaleGradient scale_gradient);
};

// The same for a caller that learns only when it runs which device a tensor is on.
struct Operations {
  decltype(&Cpu::clip) clip;
  decltype(&Cpu::clip_backward) clip_backward;
  decltype(&Cpu::clip_statistics) clip_statistics;
  decltype(&Cpu::max_pool_clip) max_pool_clip;
  decltype(&Cpu::max_pool_clip_backward) max_pool_clip_backward;
  decltype(&Cpu::fake_quantize) fake_quantize;
  decltype(&Cpu::fake_quantize_backward) fake_quantize_backward;
};

template <typename Device>
constexpr Operations kOperations{
    Device::clip,
    Device::clip_backward,
    Device::clip_statistics,
    Device::max_pool_clip,
    Device::max_pool_clip_backward,
    Device::fake_quantize,
    Device::fake_quantize_backward,
};

}  // namespace actclip
