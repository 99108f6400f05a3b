// What the kernels must compute, written as plainly as possible and on its own: of the code under
// test it takes only the types. Numbers are doubles, which hold those of all types exactly, and
// what depends on a number is an `if`.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/kernels.h"

namespace reference {

using actclip::BFloat16;
using actclip::Half;
using actclip::ScaleGradient;
using actclip::cpu::Operation;
using actclip::cpu::Variant;

// Numbers.

// A floating-point format of 16 bits.
struct Format {
  int exponent_bits;
  int mantissa_bits;

  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int infinity() const { return ((1 << exponent_bits) - 1) << mantissa_bits; }
};

template <typename T>
constexpr Format kFormat{};
template <>
constexpr Format kFormat<BFloat16>{8, 7};
template <>
constexpr Format kFormat<Half>{5, 10};

inline double decode_magnitude(int bits, Format format) {
  if (bits == format.infinity()) {
    return std::numeric_limits<double>::infinity();
  }
  if (bits > format.infinity()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const int exponent = std::max(1, bits >> format.mantissa_bits);
  const int hidden = (exponent - 1) << format.mantissa_bits;  // a subnormal has no leading one
  return std::ldexp(bits - hidden, exponent - format.bias() - format.mantissa_bits);
}

// To nearest, ties to even.
inline int encode_magnitude(double x, Format format) {
  if (std::isinf(x)) {
    return format.infinity();
  }
  const int smallest = 1 - format.bias();
  const int exponent = x == 0 ? smallest : std::max(smallest, std::ilogb(x));
  const double units = std::nearbyint(std::ldexp(x, format.mantissa_bits - exponent));
  const double bits = units + std::ldexp(exponent - smallest, format.mantissa_bits);
  return static_cast<int>(std::min<double>(bits, format.infinity()));
}

template <typename T>
double value(T x) {
  if constexpr (sizeof(T) == 2) {
    const double magnitude = decode_magnitude(x.bits & 0x7fff, kFormat<T>);
    return x.bits >= 0x8000 ? -magnitude : magnitude;
  } else {
    return static_cast<double>(x);
  }
}

template <typename T>
T nearest(double x) {
  if constexpr (sizeof(T) == 2) {
    if (std::isnan(x)) {
      return {0x7fff};
    }
    const int sign = std::signbit(x) ? 0x8000 : 0;
    return {static_cast<uint16_t>(encode_magnitude(std::abs(x), kFormat<T>) | sign)};
  } else {
    return static_cast<T>(x);
  }
}

// As many sums as any operation makes.
constexpr int kMaxSums = 8;

// What one element comes to: the output, or the gradient by it, and what it adds to each sum.
template <typename T>
struct Element {
  T y{};
  double sums[kMaxSums] = {};
};

// The clip.

enum class Fate { kPassed, kRectified, kBelow, kAbove };

// r = relu(x) or x; y = lo where r < lo; then another value where y > hi.
template <typename T>
Fate fate(T x, bool relu, const T* lo, T hi) {
  const double r = relu && value(x) < 0 ? 0 : value(x);
  const bool below = lo != nullptr && r < value(*lo);
  const double y = below ? value(*lo) : r;
  if (y > value(hi)) {
    return Fate::kAbove;
  }
  if (below) {
    return Fate::kBelow;
  }
  return relu && value(x) <= 0 ? Fate::kRectified : Fate::kPassed;
}

// A rectified -0 stays what it is, as LibTorch has it.
template <typename T>
T rectified(T x) {
  return value(x) < 0 ? T{} : x;
}

template <typename T>
struct Limits {
  T hi;
  T value;
  const T* lo;  // null without one
};

template <typename T>
T clip(T x, Fate fate, const Limits<T>& limits) {
  switch (fate) {
    case Fate::kAbove:
      return limits.value;
    case Fate::kBelow:
      return *limits.lo;
    case Fate::kRectified:
      return rectified(x);
    default:
      return x;
  }
}

// Of one side: g and the count over what it clipped; the same over what is positive and passed it.
inline void add_statistics(double* sums, bool clipped, double x, double g) {
  if (clipped) {
    sums[0] = g;
    sums[1] = 1;
  } else if (x > 0) {
    sums[2] = g;
    sums[3] = 1;
  }
}

template <typename T>
Element<T> element(const Variant& variant, T g, T x, const Limits<T>& limits) {
  Element<T> result;
  const Fate what = fate(x, variant.relu, limits.lo, limits.hi);
  switch (variant.operation) {
    case Operation::kClip:
      result.y = clip(x, what, limits);
      break;
    case Operation::kClipBackward:
      result.y = what == Fate::kPassed ? g : T{};
      result.sums[0] = what == Fate::kAbove ? value(g) : 0;
      result.sums[1] = what == Fate::kBelow ? value(g) : 0;
      break;
    default:
      add_statistics(result.sums, what == Fate::kAbove, value(x), value(g));
      if (variant.below) {
        add_statistics(result.sums + 4, what == Fate::kBelow, value(x), value(g));
      }
  }
  return result;
}

// The quantizer. It is computed in W: each operation rounds.

template <typename W>
struct Quantizer {
  W scale;
  W offset;
  double low;
  double high;
};

// The volatile keeps compilers from fusing this operation with the next one.
template <typename W>
double rounded_to(double x) {
  const volatile W rounded = static_cast<W>(x);
  return rounded;
}

template <typename T, typename W>
Element<T> element(const Variant& variant, T g, T x, const Quantizer<W>& q) {
  const double position = rounded_to<W>(rounded_to<W>(value(x) - q.offset) / q.scale);
  const double rounded = std::nearbyint(position);
  double code = rounded;
  if (rounded < q.low) {
    code = q.low;
  } else if (rounded > q.high) {
    code = q.high;
  }
  Element<T> result;
  if (variant.operation == Operation::kFakeQuantize) {
    result.y = nearest<T>(rounded_to<W>(rounded_to<W>(code * q.scale) + q.offset));
    return result;
  }
  const double place =
      variant.scale_gradient == ScaleGradient::kRounded ? rounded : position;
  if (place < q.low || place > q.high) {
    result.sums[0] = code * value(g);
    result.sums[1] = value(g);
    return result;
  }
  const bool clipped_only = variant.scale_gradient == ScaleGradient::kClipped;
  result.sums[0] = clipped_only ? 0 : rounded_to<W>(code - position) * value(g);
  result.y = g;
  return result;
}

// In place, behind relu.

// Of what relu made of x; where relu stopped the gradient, the quantizer does not get it.
template <typename T, typename W>
Fate fate(T x, const Quantizer<W>& q) {
  const double position = rounded_to<W>(rounded_to<W>(value(rectified(x)) - q.offset) / q.scale);
  if (position > q.high) {
    return Fate::kAbove;
  }
  if (position < q.low) {
    return Fate::kBelow;
  }
  return value(x) <= 0 ? Fate::kRectified : Fate::kPassed;
}

// As backward reads it.
inline uint8_t byte_of(Fate fate) {
  switch (fate) {
    case Fate::kPassed:
      return 0;
    case Fate::kAbove:
      return 2;
    default:
      return 1;
  }
}

// The pooling.

template <typename T>
struct Pooled {
  T y;
  int which;  // of the four was largest
  Fate fate;
};

// The first of equal ones; after a NaN only another one comes.
template <typename T>
Pooled<T> pool(const T (&inputs)[4], bool relu, T threshold) {
  int which = 0;
  for (int i = 1; i < 4; ++i) {
    if (value(inputs[i]) > value(inputs[which]) || std::isnan(value(inputs[i]))) {
      which = i;
    }
  }
  const T x = inputs[which];
  const Fate what = fate<T>(x, relu, nullptr, threshold);
  return {clip<T>(x, what, {threshold, threshold, nullptr}), which, what};
}

// One output of a contraction for one of its channels.
inline float contracted(const actclip::cpu::Contraction& c, int64_t output, int64_t channel) {
  float sum = c.y[output * c.y_step + channel];
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t tap = 0; tap < c.taps; ++tap) {
      sum = std::fma(
          c.x[row * c.x_row + tap * c.x_tap + output * c.x_step],
          c.w[row * c.w_row + tap * c.w_tap + channel], sum);
    }
  }
  return sum;
}

}  // namespace reference
