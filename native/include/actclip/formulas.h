// What the operations do to one element: the only place that says so, for CPU and CUDA.
//
// An operation is a struct of static functions over parameters that lie in arrays, one entry for
// each lane: `forward` gives the output, and `backward` the gradient by x and, through an
// accumulator, what is to be summed for the parameters' gradients. Comparisons with NaN are false,
// so that NaN passes, and so does its gradient; at a tie the gradient goes to x.
#pragma once

#include <cmath>

#include "actclip/dtypes.h"

namespace actclip {

// How the scale of a quantizer gets its gradient; the numbers are part of the operation's schema.
enum class ScaleGradient { kClipped = 0, kRounded = 1, kRoundedAndScaled = 2 };

namespace {

// The numbers of the lanes from one on; null where there are none.
template <typename W>
ACTCLIP_FUNCTION const W* later(const W* by_lane, int lane) {
  return by_lane == nullptr ? nullptr : by_lane + lane;
}

// r = relu(x) or x; y = lo where r < lo; then `value` where y > hi.
template <typename T_, bool kRelu, bool kBelow>
struct Clip {
  using T = T_;
  using W = Wide<T>;
  static constexpr int kSums = kBelow ? 2 : 1;  // of g over those above; over those below

  struct Parameters {
    const T* hi;
    const T* value;
    const T* lo;

    // Those of the lanes from one on.
    ACTCLIP_FUNCTION Parameters from(int lane) const {
      return {later(hi, lane), later(value, lane), later(lo, lane)};
    }
  };

  // Each comparison is with x itself and not with what the one before made of it: compilers turn
  // a chain into branches, and do not vectorise it.
  static ACTCLIP_FUNCTION bool above(T x, const Parameters& p, int lane) {
    const W v = widen(x);
    const W hi = widen(p.hi[lane]);
    const bool number = v == v;
    bool result = v > hi;
    if constexpr (kRelu) {
      result |= number & (W{0} > hi);
    }
    if constexpr (kBelow) {
      result |= number & (widen(p.lo[lane]) > hi);
    }
    return result;
  }

  // Where it is above, too, the upper threshold has it.
  static ACTCLIP_FUNCTION bool below(T x, const Parameters& p, int lane) {
    if constexpr (kBelow) {
      const W v = widen(x);
      const W lo = widen(p.lo[lane]);
      return (v < lo) & (!kRelu | (lo > W{0})) & !above(x, p, lane);
    } else {
      return false;
    }
  }

  // Where relu stops the gradient: at 0, too.
  static ACTCLIP_FUNCTION bool rectified(T x) { return kRelu & (widen(x) <= W{0}); }

  // LibTorch's relu leaves -0 as it is on the CPU, and makes 0 of it on CUDA.
  static ACTCLIP_FUNCTION bool zeroed(T x) {
#ifdef __CUDA_ARCH__
    return rectified(x);
#else
    return kRelu & (widen(x) < W{0});
#endif
  }

  static ACTCLIP_FUNCTION T forward(T x, const Parameters& p, int lane) {
    T y = select(zeroed(x), T{0}, x);
    if constexpr (kBelow) {
      y = select(below(x, p, lane), p.lo[lane], y);
    }
    return select(above(x, p, lane), p.value[lane], y);
  }

  template <typename Accumulator>
  static ACTCLIP_FUNCTION T backward(
      T g, T x, const Parameters& p, int lane, Accumulator& sums) {
    const bool up = above(x, p, lane);
    const bool down = below(x, p, lane);
    sums.add(0, lane, widen(select(up, g, T{0})));
    if constexpr (kBelow) {
      sums.add(1, lane, widen(select(down, g, T{0})));
    }
    return select(up | down | rectified(x), T{0}, g);
  }
};

// The four sums that a rule for a threshold may ask for, for each side that clips: g and the count
// over what it clipped, g and the count over what is positive and was not clipped by it.
template <typename T_, bool kRelu, bool kBelow>
struct ClipStatistics {
  using T = T_;
  using W = Wide<T>;
  using Parameters = typename Clip<T, kRelu, kBelow>::Parameters;
  static constexpr int kSumsOfSide = 4;
  static constexpr int kSums = kBelow ? 2 * kSumsOfSide : kSumsOfSide;

  template <typename Accumulator>
  static ACTCLIP_FUNCTION void backward(
      T g, T x, const Parameters& p, int lane, Accumulator& sums) {
    using Clip = Clip<T, kRelu, kBelow>;
    const bool positive = widen(x) > W{0};
    side(0, Clip::above(x, p, lane), positive, g, lane, sums);
    if constexpr (kBelow) {
      side(kSumsOfSide, Clip::below(x, p, lane), positive, g, lane, sums);
    }
  }

 private:
  template <typename Accumulator>
  static ACTCLIP_FUNCTION void side(
      int first, bool clipped, bool positive, T g, int lane, Accumulator& sums) {
    const bool passed = positive & !clipped;
    sums.add(first, lane, widen(select(clipped, g, T{0})));
    sums.add(first + 1, lane, W(clipped ? 1 : 0));
    sums.add(first + 2, lane, widen(select(passed, g, T{0})));
    sums.add(first + 3, lane, W(passed ? 1 : 0));
  }
};

// v = (x - offset)/scale; y = clamp(round(v), low, high)*scale + offset.
template <typename T_>
struct FakeQuantize {
  using T = T_;
  using W = Wide<T>;

  struct Parameters {
    const W* scale;
    const W* offset;
    W low;
    W high;

    ACTCLIP_FUNCTION Parameters from(int lane) const {
      return {scale + lane, offset + lane, low, high};
    }
  };

  static ACTCLIP_FUNCTION W position(T x, const Parameters& p, int lane) {
    return (widen(x) - p.offset[lane]) / p.scale[lane];
  }

  static ACTCLIP_FUNCTION W code(W position, const Parameters& p) {
    const W rounded = round(position);
    return select(rounded > p.high, p.high, select(rounded < p.low, p.low, rounded));
  }

  static ACTCLIP_FUNCTION T forward(T x, const Parameters& p, int lane) {
    return narrow<T>(code(position(x, p, lane), p) * p.scale[lane] + p.offset[lane]);
  }

  // Ties to the even code.
  static ACTCLIP_FUNCTION float round(float x) { return rintf(x); }
  static ACTCLIP_FUNCTION double round(double x) { return rint(x); }
};

// The straight-through gradients of a quantizer: LSQ (arXiv 1902.08153, equation 3), LSQ+ (arXiv
// 2004.09576), TQT (arXiv 1903.08066, section 3.3), PACT (arXiv 1805.06085).
template <typename T_, ScaleGradient kScale>
struct FakeQuantizeGradient {
  using T = T_;
  using W = Wide<T>;
  using Parameters = typename FakeQuantize<T>::Parameters;
  static constexpr int kSums = 2;  // for the scale; for the offset

  template <typename Accumulator>
  static ACTCLIP_FUNCTION T backward(
      T g, T x, const Parameters& p, int lane, Accumulator& sums) {
    const W v = FakeQuantize<T>::position(x, p, lane);
    const W code = FakeQuantize<T>::code(v, p);
    const W place = kScale == ScaleGradient::kRounded ? FakeQuantize<T>::round(v) : v;
    const bool outside = (place < p.low) | (place > p.high);
    if constexpr (kScale == ScaleGradient::kClipped) {
      sums.add_product(0, lane, select(outside, code, W{0}), widen(select(outside, g, T{0})));
    } else {
      sums.add_product(0, lane, select(outside, code, code - v), widen(g));
    }
    sums.add(1, lane, widen(select(outside, g, T{0})));
    return select(outside, T{0}, g);
  }
};

// What became of an element whose place its output took: backward needs to know no more.
enum Fate : uint8_t { kPassed = 0, kStopped = 1, kAbove = 2 };

// As wide as what is compared, so that compilers convert whole vectors at once.
template <typename W>
using WideFate = BitsOf<sizeof(W)>;

template <typename W>
ACTCLIP_FUNCTION uint8_t fate_of(bool above, bool stopped) {
  using F = WideFate<W>;
  return static_cast<uint8_t>(
      select(above, F{kAbove}, select(stopped, F{kStopped}, F{kPassed})));
}

template <typename T>
ACTCLIP_FUNCTION T gradient_of_fate(T g, uint8_t fate, Fate wanted) {
  return select(WideFate<Wide<T>>{fate} == WideFate<Wide<T>>{wanted}, g, T{0});
}

// relu(x), which above hi is hi.
template <typename T_>
struct ReluClip {
  using T = T_;
  using W = Wide<T>;
  using Relu = Clip<T, true, false>;
  using Parameters = typename Relu::Parameters;
  static constexpr int kSums = 1;  // of g over those above

  static ACTCLIP_FUNCTION T forward(T x, const Parameters& p, int lane, uint8_t& fate) {
    const T rectified = select(Relu::zeroed(x), T{0}, x);
    const bool above = widen(rectified) > widen(p.hi[lane]);
    fate = fate_of<W>(above, Relu::rectified(x));
    return select(above, p.hi[lane], rectified);
  }

  template <typename Accumulator>
  static ACTCLIP_FUNCTION void add_above(T g, const Parameters&, int lane, Accumulator& sums) {
    sums.add(0, lane, widen(g));
  }
};

// relu(x), quantized to codes from 0 on, whose scale gets its gradient from what is above the last.
template <typename T_>
struct ReluFakeQuantize {
  using T = T_;
  using W = Wide<T>;
  using Relu = Clip<T, true, false>;
  using Quantizer = FakeQuantize<T>;
  using Parameters = typename Quantizer::Parameters;
  static constexpr int kSums = 1;  // for the scale

  static ACTCLIP_FUNCTION T forward(T x, const Parameters& p, int lane, uint8_t& fate) {
    const T rectified = select(Relu::zeroed(x), T{0}, x);
    const W v = Quantizer::position(rectified, p, lane);
    fate = fate_of<W>(v > p.high, (v < p.low) | Relu::rectified(x));
    return Quantizer::forward(rectified, p, lane);
  }

  template <typename Accumulator>
  static ACTCLIP_FUNCTION void add_above(T g, const Parameters& p, int lane, Accumulator& sums) {
    sums.add_product(0, lane, p.high, widen(g));
  }
};

// Batch normalisation, and what limits it. Forward: x*scale + shift, and what is added to it, if that is.
// Backward: what is passed on of g, as a*g + (b*x + c), whose numbers come from sums over all x.
struct Normalization {
  const float* first;   // scale; or a
  const float* second;  // shift; or b
  const float* third;   // the mean, for the sums; or c

  ACTCLIP_FUNCTION float of(float x, int lane) const { return x * first[lane] + second[lane]; }

  ACTCLIP_FUNCTION float gradient(float g, float x, int lane) const {
    return g * first[lane] + (x * second[lane] + third[lane]);
  }
};

// 2x2 max pooling, relu and clip of four elements. What backward needs to know is a code of four
// bits: the lower two say which of the four was largest, the upper two what became of it.
template <typename T_, bool kRelu>
struct MaxPoolClip {
  using T = T_;
  using Clip = actclip::Clip<T, kRelu, false>;
  static constexpr uint8_t kRectified = 1 << 2;
  static constexpr uint8_t kClipped = 2 << 2;

  // The code comes by reference: compilers do not vectorise a result of both that is 16 bits wide.
  static ACTCLIP_FUNCTION T forward(T x0, T x1, T x2, T x3, T t, uint8_t& code) {
    const bool second = beats(x1, x0);
    const T top = select(second, x1, x0);
    const bool fourth = beats(x3, x2);
    const T bottom = select(fourth, x3, x2);
    const bool lower = beats(bottom, top);
    const T x = select(lower, bottom, top);
    const uint8_t which =
        select(lower, static_cast<uint8_t>(2 + fourth), static_cast<uint8_t>(second));
    const typename Clip::Parameters p{&t, &t, nullptr};
    const uint8_t fate = select(
        Clip::above(x, p, 0), kClipped, select(Clip::rectified(x), kRectified, uint8_t{0}));
    code = static_cast<uint8_t>(which | fate);
    return Clip::forward(x, p, 0);
  }

 private:
  // The first of equal ones, and the last NaN before any number, as LibTorch's max_pool2d has it.
  static ACTCLIP_FUNCTION bool beats(T later, T earlier) {
    const auto v = widen(later);
    return (v > widen(earlier)) | (v != v);
  }
};

// The gradient by one of the four, and what the threshold gets of it.
template <typename T>
struct MaxPoolClipGradient {
  static ACTCLIP_FUNCTION T of(T g, uint8_t code, uint8_t which) {
    return select(code == which, g, T{0});  // a code with a fate is none of the four
  }

  static ACTCLIP_FUNCTION T of_threshold(T g, uint8_t code) {
    return select((code & MaxPoolClip<T, false>::kClipped) != 0, g, T{0});
  }
};

}  // namespace
}  // namespace actclip
