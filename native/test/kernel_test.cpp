// Runs every kernel on every instruction set that this processor has, and compares what it writes,
// bit by bit, with reference.h. So all instruction sets give the same bits, too.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "test/reference.h"

namespace {

using namespace actclip::cpu;
using actclip::BFloat16;
using actclip::bit_cast;
using actclip::BitsOf;
using actclip::Dtype;
using actclip::Half;
using actclip::ScaleGradient;
using reference::value;

template <typename T>
constexpr Dtype kDtype{};
template <>
constexpr Dtype kDtype<float> = Dtype::kFloat32;
template <>
constexpr Dtype kDtype<double> = Dtype::kFloat64;
template <>
constexpr Dtype kDtype<BFloat16> = Dtype::kBFloat16;
template <>
constexpr Dtype kDtype<Half> = Dtype::kFloat16;

// What a quantizer is computed in.
template <typename T>
using Computed = std::conditional_t<sizeof(T) == 8, double, float>;

std::string name_of(Dtype dtype) {
  const char* const names[] = {"float32", "float64", "bfloat16", "float16"};
  return names[static_cast<int>(dtype)];
}

// Exactly as long as it says, so that the address sanitizer sees a step beyond its end. The offset,
// in elements, takes the alignment away that memory has by itself.
template <typename T>
class Buffer {
 public:
  Buffer(int64_t size, int offset)
      : elements_(static_cast<size_t>(size + offset)), offset_(offset) {}

  int64_t size() const { return static_cast<int64_t>(elements_.size()) - offset_; }
  T* data() { return elements_.data() + offset_; }
  const T* data() const { return elements_.data() + offset_; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }

 private:
  std::vector<T> elements_;
  int64_t offset_;
};

// Failures.

int failures = 0;

void fail(const std::string& message) {
  constexpr int kShown = 20;
  if (++failures <= kShown) {
    std::printf("FAILED: %s\n", message.c_str());
  }
}

template <typename T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// Arithmetic with a NaN gives some NaN: which one, processors and compilers choose.
template <typename T>
bool same_number(T a, T b) {
  return same_bits(a, b) || (std::isnan(value(a)) && std::isnan(value(b)));
}

template <typename T>
std::string shown(T x) {
  char text[64];
  const uint64_t bits = bit_cast<BitsOf<sizeof(T)>>(x);
  if constexpr (std::is_integral_v<T>) {
    std::snprintf(text, sizeof(text), "%#" PRIx64, bits);
  } else {
    std::snprintf(text, sizeof(text), "%.17g (%#" PRIx64 ")", value(x), bits);
  }
  return text;
}

template <typename T>
void expect(
    const std::string& what, bool (*same)(T, T), const Buffer<T>& expected,
    const Buffer<T>& actual) {
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!same(expected[i], actual[i])) {
      fail(what + "[" + std::to_string(i) + "] is " + shown(actual[i]) + " and not " +
           shown(expected[i]));
      return;
    }
  }
}

// Values. The seed is fixed, so that every run is the same.

std::mt19937_64 random_bits(1);

int64_t draw(int64_t count) {
  return static_cast<int64_t>(random_bits() % static_cast<uint64_t>(count));
}

// All that is special about a type: zero, the smallest and the largest number, infinity, and NaN,
// signalling or not, of either sign.
template <typename T>
T special() {
  using Bits = BitsOf<sizeof(T)>;
  const Bits infinity =
      bit_cast<Bits>(reference::nearest<T>(std::numeric_limits<double>::infinity()));
  const Bits quiet = bit_cast<Bits>(reference::nearest<T>(std::numeric_limits<double>::quiet_NaN()));
  const Bits magnitudes[] = {
      0, 1, static_cast<Bits>(infinity - 1), infinity, static_cast<Bits>(infinity + 1), quiet};
  const Bits sign = static_cast<Bits>(static_cast<Bits>(draw(2)) << (8 * sizeof(T) - 1));
  return bit_cast<T>(static_cast<Bits>(magnitudes[draw(6)] | sign));
}

// One of few numbers, so that it often equals another; both zeros are among them.
template <typename T>
T coarse() {
  const double eighths = static_cast<double>(draw(65) - 32);
  return reference::nearest<T>(draw(16) == 0 ? -0.0 : eighths / 8);
}

// Of any size, so that the order in which such numbers are added shows in their sum.
template <typename T>
T fine() {
  const double fraction = static_cast<double>(draw(1 << 30)) / (1 << 29) - 1;
  return reference::nearest<T>(std::ldexp(fraction, static_cast<int>(draw(21)) - 10));
}

enum class Values { kFinite, kAll };

template <typename T>
T any(Values values) {
  const int64_t kind = draw(values == Values::kFinite ? 4 : 6);
  if (kind == 5) {
    return bit_cast<T>(static_cast<BitsOf<sizeof(T)>>(random_bits()));
  }
  if (kind == 4) {
    return special<T>();
  }
  return kind % 2 == 0 ? coarse<T>() : fine<T>();
}

template <typename T>
Buffer<T> some(int64_t size, int offset, Values values) {
  Buffer<T> buffer(size, offset);
  for (int64_t i = 0; i < size; ++i) {
    buffer[i] = any<T>(values);
  }
  return buffer;
}

// A quantizer's steps, some of which divide the coarse numbers so that there are ties.
template <typename W>
Buffer<W> steps(int64_t size, int offset, Values values) {
  const W common[] = {W(0.25), W(0.1), W(1), W(3)};
  Buffer<W> buffer = some<W>(size, offset, values);
  for (int64_t i = 0; i < size; ++i) {
    buffer[i] = values == Values::kFinite || draw(2) == 0 ? common[draw(4)] : buffer[i];
  }
  return buffer;
}

// Finds what is not written.
template <typename T>
Buffer<T> unwritten(int64_t size, int offset) {
  Buffer<T> buffer(size, offset);
  std::fill_n(buffer.data(), size, bit_cast<T>(static_cast<BitsOf<sizeof(T)>>(0x5a5a5a5a5a5a5a5a)));
  return buffer;
}

// The instruction sets.

std::vector<Target> targets() {
  std::vector<Target> found;
  for (Target target : {Target::kPortable, Target::kAvx2, Target::kAvx512}) {
    if (kernels(target) != nullptr) {
      found.push_back(target);
    }
  }
  return found;
}

void check_targets() {
  std::printf("Instruction sets:");
  for (Target target : targets()) {
    std::printf(" %s", name(target));
  }
  std::printf("\n");
  if (targets().empty() || best_target() != targets().back()) {
    fail("the best instruction set is not the last that runs here");
  }
}

// The operations on elements.

bool is_quantizer(Operation operation) {
  return operation == Operation::kFakeQuantize || operation == Operation::kFakeQuantizeBackward;
}

bool is_forward(Operation operation) {
  return operation == Operation::kClip || operation == Operation::kFakeQuantize;
}

int sums_of(const Variant& variant) {
  if (is_forward(variant.operation)) {
    return 0;
  }
  if (is_quantizer(variant.operation)) {
    return 2;
  }
  const int of_side = variant.operation == Operation::kClipBackward ? 1 : 4;
  return variant.below ? 2 * of_side : of_side;
}

std::vector<Variant> variants() {
  std::vector<Variant> all{{Operation::kFakeQuantize}};
  for (Operation operation :
       {Operation::kClip, Operation::kClipBackward, Operation::kClipStatistics}) {
    for (bool relu : {false, true}) {
      for (bool below : {false, true}) {
        all.push_back({operation, relu, below});
      }
    }
  }
  for (ScaleGradient scale :
       {ScaleGradient::kClipped, ScaleGradient::kRounded, ScaleGradient::kRoundedAndScaled}) {
    all.push_back({Operation::kFakeQuantizeBackward, false, false, scale});
  }
  return all;
}

std::string name_of(const Variant& v) {
  const char* const names[] = {"clip", "clip backward", "statistics", "quantize",
                               "quantize backward"};
  return std::string(names[static_cast<int>(v.operation)]) + (v.relu ? ", relu" : "") +
      (v.below ? ", below" : "") +
      (v.scale_gradient == ScaleGradient::kClipped
           ? ""
           : ", scale " + std::to_string(static_cast<int>(v.scale_gradient)));
}

struct Shape {
  int64_t elements;
  int lanes;
  int offset;
};

template <typename T>
struct Outcome {
  Buffer<T> y;
  Buffer<double> sums;
};

template <typename T>
struct Case {
  using W = Computed<T>;

  Variant variant;
  Shape shape;
  Buffer<T> g;
  Buffer<T> x;
  Buffer<T> hi;
  Buffer<T> replacement;
  Buffer<T> lo;
  Buffer<W> scale;
  Buffer<W> offset;
  double low;
  double high;
  Buffer<double> sums;  // what is there before

  Case(const Variant& v, const Shape& s, Values values)
      : variant(v),
        shape(s),
        g(some<T>(is_forward(v.operation) ? 0 : s.elements, s.offset, values)),
        x(some<T>(s.elements, s.offset, values)),
        hi(some<T>(s.lanes, s.offset, values)),
        replacement(some<T>(v.operation == Operation::kClip ? s.lanes : 0, s.offset, values)),
        lo(some<T>(v.below ? s.lanes : 0, s.offset, values)),
        scale(steps<W>(s.lanes, s.offset, values)),
        offset(some<W>(s.lanes, s.offset, values)),
        low(draw(2) == 0 ? -3 : 0),
        high(draw(2) == 0 ? 4 : 15),
        sums(some<double>(sums_of(v) * s.lanes, s.offset, Values::kFinite)) {}

  Outcome<T> outcome() const {
    const int64_t outputs = variant.operation == Operation::kClipStatistics ? 0 : shape.elements;
    return {unwritten<T>(outputs, shape.offset), sums};
  }

  reference::Element<T> element(int64_t i) const {
    const int64_t lane = i % shape.lanes;
    const T of_g = is_forward(variant.operation) ? T{} : g[i];
    if (is_quantizer(variant.operation)) {
      const reference::Quantizer<W> quantizer{scale[lane], offset[lane], low, high};
      return reference::element(variant, of_g, x[i], quantizer);
    }
    const T value = variant.operation == Operation::kClip ? replacement[lane] : T{};
    const reference::Limits<T> limits{hi[lane], value, variant.below ? &lo[lane] : nullptr};
    return reference::element(variant, of_g, x[i], limits);
  }

  Outcome<T> expected() const {
    Outcome<T> result = outcome();
    for (int64_t i = 0; i < shape.elements; ++i) {
      const reference::Element<T> of = element(i);
      if (result.y.size() > 0) {
        result.y[i] = of.y;
      }
      for (int sum = 0; sum < sums_of(variant); ++sum) {
        result.sums[sum * shape.lanes + i % shape.lanes] += of.sums[sum];
      }
    }
    return result;
  }

  Outcome<T> actual(Target target) const {
    Outcome<T> result = outcome();
    Block block{};
    block.g = is_forward(variant.operation) ? nullptr : g.data();
    block.x = x.data();
    block.y = variant.operation == Operation::kClipStatistics ? nullptr : result.y.data();
    block.elements = shape.elements;
    block.lanes = shape.lanes;
    if (is_quantizer(variant.operation)) {
      block.parameters[0] = scale.data();
      block.parameters[1] = offset.data();
      block.low = low;
      block.high = high;
    } else {
      block.parameters[0] = hi.data();
      block.parameters[1] = variant.operation == Operation::kClip ? replacement.data() : nullptr;
      block.parameters[2] = variant.below ? lo.data() : nullptr;
    }
    block.sums = is_forward(variant.operation) ? nullptr : result.sums.data();
    kernels(target)->find(kDtype<T>, variant)(block);
    return result;
  }

  std::string name(Target target) const {
    return std::string(actclip::cpu::name(target)) + ", " + name_of(kDtype<T>) + ", " +
        name_of(variant) + ", " + std::to_string(shape.elements) + " elements in " +
        std::to_string(shape.lanes) + " lanes, offset " + std::to_string(shape.offset) + ": ";
  }
};

template <typename T>
void check(const Case<T>& c) {
  const Outcome<T> expected = c.expected();
  const bool computed = c.variant.operation == Operation::kFakeQuantize;
  for (Target target : targets()) {
    const Outcome<T> actual = c.actual(target);
    expect(c.name(target) + "y", computed ? same_number<T> : same_bits<T>, expected.y, actual.y);
    expect(c.name(target) + "sums", same_number<double>, expected.sums, actual.sums);
  }
}

template <typename T>
void check_elements(Values values) {
  for (const Variant& variant : variants()) {
    for (int64_t elements : {0, 1, 3, 13, 63, 64, 65, 207, 4098}) {
      for (int lanes : {1, 3, 64, 96, 100}) {
        for (int offset : {0, 1}) {
          check(Case<T>(variant, {elements, lanes, offset}, values));
        }
      }
    }
  }
}

// What overwrites its input: a forward pass, and a backward pass with what that kept of x.

template <typename T>
struct InPlaceOutcome {
  Buffer<T> y;
  Buffer<uint8_t> fates;
  Buffer<T> gradient;
  Buffer<double> sums;
};

template <typename T>
struct InPlaceCase {
  using W = Computed<T>;

  bool quantizes;
  Shape shape;
  Buffer<T> g;
  Buffer<T> x;
  Buffer<T> hi;
  Buffer<W> scale;
  Buffer<W> offset;
  double high;
  Buffer<double> sums;  // what is there before

  InPlaceCase(bool quantizer, const Shape& s, Values values)
      : quantizes(quantizer),
        shape(s),
        g(some<T>(s.elements, s.offset, values)),
        x(some<T>(s.elements, s.offset, values)),
        hi(some<T>(s.lanes, s.offset, values)),
        scale(steps<W>(s.lanes, s.offset, values)),
        offset(some<W>(s.lanes, s.offset, values)),
        high(draw(2) == 0 ? 4 : 15),
        sums(some<double>(s.lanes, s.offset, Values::kFinite)) {
    // To a row's sums nothing may be added where nothing is above, and -0 would tell.
    for (int64_t lane = 0; lane < s.lanes; ++lane) {
      sums[lane] += 0;
    }
    if (draw(2) == 0) {
      lower_rows();
    }
  }

  // So that there are rows in which nothing is above.
  void lower_rows() {
    for (int64_t lane = 0; lane < shape.lanes; ++lane) {
      hi[lane] = reference::nearest<T>(std::abs(value(hi[lane])));
      scale[lane] = std::abs(scale[lane]);
      offset[lane] = std::abs(offset[lane]);
    }
    for (int64_t i = 0; i < shape.elements; ++i) {
      if (i / shape.lanes % 2 == 0) {
        x[i] = reference::nearest<T>(-std::abs(value(x[i])));
      }
    }
  }

  reference::Quantizer<W> quantizer(int64_t lane) const {
    return {scale[lane], offset[lane], 0, high};
  }

  reference::Fate fate(int64_t i) const {
    const int64_t lane = i % shape.lanes;
    return quantizes ? reference::fate(x[i], quantizer(lane))
                     : reference::fate<T>(x[i], true, nullptr, hi[lane]);
  }

  T output(int64_t i) const {
    const int64_t lane = i % shape.lanes;
    if (quantizes) {
      const T rectified = reference::rectified(x[i]);
      return reference::element(
                 Variant{Operation::kFakeQuantize}, T{}, rectified, quantizer(lane))
          .y;
    }
    return reference::clip(x[i], fate(i), {hi[lane], hi[lane], nullptr});
  }

  InPlaceOutcome<T> outcome() const {
    const int offset = shape.offset;
    return {x, unwritten<uint8_t>(shape.elements, offset), unwritten<T>(shape.elements, offset),
            sums};
  }

  InPlaceOutcome<T> expected() const {
    InPlaceOutcome<T> result = outcome();
    for (int64_t i = 0; i < shape.elements; ++i) {
      result.y[i] = output(i);
      result.fates[i] = reference::byte_of(fate(i));
      result.gradient[i] = fate(i) == reference::Fate::kPassed ? g[i] : T{};
    }
    for (int64_t i = 0; i < shape.elements; ++i) {
      const bool above = fate(i) == reference::Fate::kAbove;
      result.sums[i % shape.lanes] += above ? (quantizes ? high : 1) * value(g[i]) : 0;
    }
    return result;
  }

  void run(Target target, Operation operation, Block block) const {
    block.elements = shape.elements;
    block.lanes = shape.lanes;
    block.high = high;
    if (quantizes) {
      block.parameters[0] = scale.data();
      block.parameters[1] = offset.data();
    } else {
      block.parameters[0] = block.parameters[1] = hi.data();
    }
    kernels(target)->find(kDtype<T>, {operation})(block);
  }

  void run_forward(Target target, T* y, uint8_t* fates) const {
    Block block{};
    block.y = y;
    block.fates = fates;
    run(target, quantizes ? Operation::kReluFakeQuantize : Operation::kReluClip, block);
  }

  InPlaceOutcome<T> actual(Target target) const {
    InPlaceOutcome<T> result = outcome();
    run_forward(target, result.y.data(), result.fates.data());
    Block block{};
    block.g = g.data();
    block.y = result.gradient.data();
    block.fates = result.fates.data();
    block.sums = result.sums.data();
    run(target,
        quantizes ? Operation::kReluFakeQuantizeBackward : Operation::kReluClipBackward, block);
    return result;
  }

  std::string name(Target target) const {
    return std::string(actclip::cpu::name(target)) + ", " + name_of(kDtype<T>) +
        (quantizes ? ", relu and quantize, " : ", relu and clip, ") +
        std::to_string(shape.elements) + " elements in " + std::to_string(shape.lanes) +
        " lanes, offset " + std::to_string(shape.offset) + ": ";
  }
};

template <typename T>
void check(const InPlaceCase<T>& c) {
  const InPlaceOutcome<T> expected = c.expected();
  const auto same = c.quantizes ? same_number<T> : same_bits<T>;
  for (Target target : targets()) {
    const InPlaceOutcome<T> actual = c.actual(target);
    Buffer<T> y_alone = c.x;
    c.run_forward(target, y_alone.data(), nullptr);
    const std::string name = c.name(target);
    expect(name + "y", same, expected.y, actual.y);
    expect(name + "fates", same_bits<uint8_t>, expected.fates, actual.fates);
    expect(name + "y without fates", same, expected.y, y_alone);
    expect(name + "gradient", same_bits<T>, expected.gradient, actual.gradient);
    expect(name + "sums", same_number<double>, expected.sums, actual.sums);
  }
}

template <typename T>
void check_in_place(Values values) {
  for (bool quantizes : {false, true}) {
    for (int64_t elements : {0, 1, 3, 13, 63, 64, 65, 207, 4098}) {
      for (int lanes : {1, 3, 64, 96, 100}) {
        for (int offset : {0, 1}) {
          check(InPlaceCase<T>(quantizes, {elements, lanes, offset}, values));
        }
      }
    }
  }
}

// Batch normalisation before that: what is limited is what came of x.

struct NormCase {
  InPlaceCase<float> limit;
  Shape shape;
  bool adds;
  Buffer<float> x;
  Buffer<float> addend;
  Buffer<float> norm[3];  // as Normalization has them
  Buffer<double> sums;    // what is there before, of x and of its square

  NormCase(bool quantizes, bool with_addend, const Shape& s, Values values)
      : limit(quantizes, s, values),
        shape(s),
        adds(with_addend),
        x(some<float>(s.elements, s.offset, values)),
        addend(some<float>(s.elements, s.offset, values)),
        norm{some<float>(s.lanes, s.offset, values), some<float>(s.lanes, s.offset, values),
             some<float>(s.lanes, s.offset, values)},
        sums(some<double>(2 * s.lanes, s.offset, Values::kFinite)) {
    for (int64_t i = 0; i < s.elements; ++i) {
      limit.x[i] = normed(i);
    }
  }

  static float product(float a, float b) {
    return static_cast<float>(reference::rounded_to<float>(value(a) * value(b)));
  }

  static float sum(float a, float b) {
    return static_cast<float>(reference::rounded_to<float>(value(a) + value(b)));
  }

  float normed(int64_t i) const {
    const int64_t lane = i % shape.lanes;
    const float alone = sum(product(x[i], norm[0][lane]), norm[1][lane]);
    return adds ? sum(alone, addend[i]) : alone;
  }

  Buffer<double> expected_sums() const {
    Buffer<double> result = sums;
    for (int64_t i = 0; i < shape.elements; ++i) {
      result[i % shape.lanes] += value(x[i]);
      result[shape.lanes + i % shape.lanes] += value(x[i]) * value(x[i]);
    }
    return result;
  }

  // Of what is above, of what is passed on, and of that times what x is above the mean.
  Buffer<double> expected_gradient_sums(const InPlaceOutcome<float>& limited) const {
    Buffer<double> result(3 * shape.lanes, shape.offset);
    for (int64_t i = 0; i < shape.elements; ++i) {
      const int64_t lane = i % shape.lanes;
      const double passed = value(limited.gradient[i]);
      result[shape.lanes + lane] += passed;
      result[2 * shape.lanes + lane] += passed * value(sum(x[i], -norm[2][lane]));
    }
    for (int64_t lane = 0; lane < shape.lanes; ++lane) {
      result[lane] = limited.sums[lane];
    }
    return result;
  }

  Buffer<float> expected_gradient(const Buffer<float>& passed) const {
    Buffer<float> result = unwritten<float>(shape.elements, shape.offset);
    for (int64_t i = 0; i < shape.elements; ++i) {
      const int64_t lane = i % shape.lanes;
      result[i] = sum(
          product(passed[i], norm[0][lane]), sum(product(x[i], norm[1][lane]), norm[2][lane]));
    }
    return result;
  }

  void run(Target target, Operation operation, Block block) const {
    block.x = x.data();
    for (int i = 0; i < 3; ++i) {
      block.norm[i] = norm[i].data();
    }
    limit.run(target, operation, block);
  }

  void check_forward(Target target, const InPlaceOutcome<float>& expected) const {
    for (bool recorded : {false, true}) {
      Buffer<float> y = unwritten<float>(shape.elements, shape.offset);
      Buffer<uint8_t> fates = unwritten<uint8_t>(shape.elements, shape.offset);
      Block block{};
      block.addend = adds ? addend.data() : nullptr;
      block.y = y.data();
      block.fates = recorded ? fates.data() : nullptr;
      run(target, limit.quantizes ? Operation::kNormFakeQuantize : Operation::kNormClip, block);
      expect(name(target) + "y", same_number<float>, expected.y, y);
      if (recorded) {
        expect(name(target) + "fates", same_bits<uint8_t>, expected.fates, fates);
      }
    }
  }

  void check_gradient_sums(Target target, InPlaceOutcome<float>& expected, bool writes) const {
    Buffer<float> passed = unwritten<float>(shape.elements, shape.offset);
    Buffer<double> of_gradient(3 * shape.lanes, shape.offset);
    for (int64_t lane = 0; lane < shape.lanes; ++lane) {
      of_gradient[lane] = limit.sums[lane];
    }
    Block block{};
    block.g = limit.g.data();
    block.y = writes ? passed.data() : nullptr;
    block.fates = expected.fates.data();
    block.sums = of_gradient.data();
    run(target, limit.quantizes ? Operation::kNormFakeQuantizeSums : Operation::kNormClipSums,
        block);
    if (writes) {
      expect(name(target) + "passed", same_bits<float>, expected.gradient, passed);
    }
    expect(
        name(target) + "gradient's sums", same_number<double>, expected_gradient_sums(expected),
        of_gradient);
  }

  void check_backward(Target target, InPlaceOutcome<float> expected) const {
    check_gradient_sums(target, expected, true);
    check_gradient_sums(target, expected, false);
    Buffer<float> gradient = unwritten<float>(shape.elements, shape.offset);
    Block block{};
    block.g = limit.g.data();
    block.y = gradient.data();
    block.fates = expected.fates.data();
    run(target, Operation::kNormBackward, block);
    expect(
        name(target) + "gradient", same_number<float>, expected_gradient(expected.gradient),
        gradient);
  }

  void check_sums(Target target) const {
    Buffer<double> actual = sums;
    Block block{};
    block.sums = actual.data();
    run(target, Operation::kNormSums, block);
    expect(name(target) + "sums", same_number<double>, expected_sums(), actual);
  }

  std::string name(Target target) const {
    return limit.name(target) + (adds ? "norm and add, " : "norm, ");
  }
};

void check_norm(Values values) {
  for (bool quantizes : {false, true}) {
    for (bool adds : {false, true}) {
      for (int64_t elements : {0, 1, 63, 64, 207, 4098}) {
        for (int lanes : {1, 3, 64, 100, 192}) {
          const NormCase c(quantizes, adds, {elements, lanes, static_cast<int>(draw(2))}, values);
          const InPlaceOutcome<float> expected = c.limit.expected();
          for (Target target : targets()) {
            c.check_sums(target);
            c.check_forward(target, expected);
            c.check_backward(target, expected);
          }
        }
      }
    }
  }
}

// The pooling: a forward pass, and a backward pass with its codes.

struct PoolShape {
  int64_t outputs;
  int64_t channels;  // that take turns
  bool channels_last;
  bool relu;
  int offset;

  int lanes() const {
    return static_cast<int>((kLeastLanes + channels - 1) / channels * channels);
  }
};

template <typename T>
struct PoolOutcome {
  Buffer<T> y;
  Buffer<uint8_t> codes;
  Buffer<T> top;
  Buffer<T> bottom;
  Buffer<double> sums;
};

template <typename T>
struct PoolCase {
  PoolShape shape;
  Buffer<T> top;
  Buffer<T> bottom;
  Buffer<T> thresholds;
  Buffer<T> g;
  Buffer<double> sums;  // what is there before

  PoolCase(const PoolShape& s, Values values)
      : shape(s),
        top(some<T>(2 * s.outputs, s.offset, values)),
        bottom(some<T>(2 * s.outputs, s.offset, values)),
        thresholds(some<T>(s.channels, s.offset, values)),
        g(some<T>(s.outputs, s.offset, values)),
        sums(some<double>(s.lanes(), s.offset, Values::kFinite)) {}

  PoolOutcome<T> outcome() const {
    const int offset = shape.offset;
    return {unwritten<T>(shape.outputs, offset),
            unwritten<uint8_t>((shape.outputs + 1) / 2, offset),
            unwritten<T>(2 * shape.outputs, offset), unwritten<T>(2 * shape.outputs, offset), sums};
  }

  // Where in its row the left one of an output's inputs is; the right one is `channels` further.
  int64_t left(int64_t output) const {
    return output / shape.channels * 2 * shape.channels + output % shape.channels;
  }

  reference::Pooled<T> pooled(int64_t output) const {
    const int64_t l = left(output);
    const int64_t r = l + shape.channels;
    return reference::pool(
        {top[l], top[r], bottom[l], bottom[r]}, shape.relu, thresholds[output % shape.channels]);
  }

  PoolOutcome<T> expected() const {
    PoolOutcome<T> result = outcome();
    for (int64_t i = 0; i < shape.outputs; ++i) {
      const reference::Pooled<T> of = pooled(i);
      result.y[i] = of.y;
      put_code(result.codes, i, of);
      put_gradients(result, i, of);
    }
    return result;
  }

  // The even ones are in the lower half of a byte, and what is left over is 0.
  static void put_code(Buffer<uint8_t>& codes, int64_t i, const reference::Pooled<T>& of) {
    int code = of.which;
    if (of.fate == reference::Fate::kRectified) {
      code += 4;
    } else if (of.fate == reference::Fate::kAbove) {
      code += 8;
    }
    const int before = i % 2 == 0 ? 0 : codes[i / 2];
    codes[i / 2] = static_cast<uint8_t>(before + (i % 2 == 0 ? code : 16 * code));
  }

  void put_gradients(PoolOutcome<T>& result, int64_t i, const reference::Pooled<T>& of) const {
    for (int which = 0; which < 4; ++which) {
      Buffer<T>& row = which < 2 ? result.top : result.bottom;
      const bool passed = of.fate == reference::Fate::kPassed && of.which == which;
      row[left(i) + which % 2 * shape.channels] = passed ? g[i] : T{};
    }
    result.sums[i % shape.lanes()] += of.fate == reference::Fate::kAbove ? value(g[i]) : 0;
  }

  void run(Target target, T* y, uint8_t* codes, int64_t y_step) const {
    Buffer<uint8_t> scratch = unwritten<uint8_t>(shape.outputs, shape.offset);
    kernels(target)->find_pool(kDtype<T>, shape.relu, shape.channels_last)(
        {top.data(), bottom.data(), y, codes, scratch.data(), shape.outputs, shape.channels,
         thresholds.data(), y_step});
  }

  PoolOutcome<T> actual(Target target) const {
    PoolOutcome<T> result = outcome();
    run(target, result.y.data(), result.codes.data(),
        shape.channels_last ? shape.channels : shape.outputs);
    Buffer<uint8_t> scratch = unwritten<uint8_t>(shape.outputs, shape.offset);
    kernels(target)->find_pool_backward(kDtype<T>, shape.channels_last)(
        {g.data(), result.codes.data(), scratch.data(), result.top.data(), result.bottom.data(),
         shape.outputs, shape.channels, shape.lanes(), result.sums.data()});
    return result;
  }

  std::string name(Target target) const {
    return std::string(actclip::cpu::name(target)) + ", " + name_of(kDtype<T>) + ", pool" +
        (shape.relu ? ", relu" : "") + (shape.channels_last ? ", channels last, " : ", ") +
        std::to_string(shape.outputs) + " outputs of " + std::to_string(shape.channels) +
        " channels, offset " + std::to_string(shape.offset) + ": ";
  }
};

template <typename T>
void check(const PoolCase<T>& c) {
  const PoolOutcome<T> expected = c.expected();
  for (Target target : targets()) {
    const PoolOutcome<T> actual = c.actual(target);
    const std::string name = c.name(target);
    expect(name + "y", same_bits<T>, expected.y, actual.y);
    expect(name + "codes", same_bits<uint8_t>, expected.codes, actual.codes);
    expect(name + "top", same_bits<T>, expected.top, actual.top);
    expect(name + "bottom", same_bits<T>, expected.bottom, actual.bottom);
    expect(name + "sums", same_number<double>, expected.sums, actual.sums);
  }
}

// With a gap after each output's channels, as where these are some of more; and without codes.
template <typename T>
void check_gaps(const PoolCase<T>& c) {
  constexpr int64_t kGap = 6;
  const int64_t channels = c.shape.channels;
  const int64_t columns = c.shape.outputs / channels;
  const int64_t step = channels + kGap;
  const PoolOutcome<T> dense = c.expected();
  Buffer<T> y = unwritten<T>(columns * step, c.shape.offset);
  Buffer<uint8_t> codes = unwritten<uint8_t>(columns * step / 2, c.shape.offset);
  PoolOutcome<T> expected{y, codes, {0, 0}, {0, 0}, {0, 0}};
  for (int64_t column = 0; column < columns; ++column) {
    std::copy_n(&dense.y[column * channels], channels, &expected.y[column * step]);
    std::copy_n(
        &dense.codes[column * channels / 2], channels / 2, &expected.codes[column * step / 2]);
  }
  for (Target target : targets()) {
    Buffer<T> y_alone = y;
    PoolOutcome<T> actual{y, codes, {0, 0}, {0, 0}, {0, 0}};
    c.run(target, actual.y.data(), actual.codes.data(), step);
    c.run(target, y_alone.data(), nullptr, step);
    const std::string name = c.name(target) + "with gaps, ";
    expect(name + "y", same_bits<T>, expected.y, actual.y);
    expect(name + "codes", same_bits<uint8_t>, expected.codes, actual.codes);
    expect(name + "y alone", same_bits<T>, expected.y, y_alone);
  }
}

template <typename T>
void check_pool(Values values) {
  for (bool relu : {false, true}) {
    for (int offset : {0, 1}) {
      for (int64_t outputs : {0, 1, 3, 13, 63, 64, 65, 207, 4098}) {
        check(PoolCase<T>({outputs, 1, false, relu, offset}, values));
      }
      for (int64_t channels : {1, 3, 64, 96, 100}) {
        for (int64_t columns : {0, 1, 2, 3, 13}) {
          const PoolCase<T> c({columns * channels, channels, true, relu, offset}, values);
          check(c);
          if (channels % 2 == 0 && columns > 0) {
            check_gaps(c);
          }
        }
      }
    }
  }
}

// The conversions of types of 16 bits, as the compiler makes them of single calls and of loops.

template <typename T>
Buffer<T> all_patterns() {
  Buffer<T> patterns(1 << 16, 0);
  for (int64_t i = 0; i < patterns.size(); ++i) {
    patterns[i] = {static_cast<uint16_t>(i)};
  }
  return patterns;
}

// A lane for each number. All are clipped, so that the sum of their gradients is what each widens
// to; to -0 anything can be added without changing its bits.
template <typename T>
Buffer<double> widened_by_kernel(Target target, const Buffer<T>& numbers) {
  const int64_t count = numbers.size();
  const Buffer<T> x(count, 0);
  Buffer<T> y(count, 0);
  Buffer<T> hi(count, 0);
  Buffer<double> sums(count, 0);
  std::fill_n(hi.data(), count, reference::nearest<T>(-1));
  std::fill_n(sums.data(), count, -0.0);
  Block block{};
  block.g = numbers.data();
  block.x = x.data();
  block.y = y.data();
  block.elements = count;
  block.lanes = static_cast<int>(count);
  block.parameters[0] = hi.data();
  block.sums = sums.data();
  kernels(target)->find(kDtype<T>, {Operation::kClipBackward})(block);
  return sums;
}

template <typename T>
void check_widening() {
  const Buffer<T> patterns = all_patterns<T>();
  Buffer<double> expected(patterns.size(), 0);
  Buffer<double> widened(patterns.size(), 0);
  Buffer<T> narrowed(patterns.size(), 0);
  for (int64_t i = 0; i < patterns.size(); ++i) {
    expected[i] = value(patterns[i]);
    widened[i] = actclip::widen(patterns[i]);
    narrowed[i] = actclip::narrow<T>(actclip::widen(patterns[i]));
  }
  expect(name_of(kDtype<T>) + " widened", same_number<double>, expected, widened);
  expect(name_of(kDtype<T>) + " widened and narrowed", same_number<T>, patterns, narrowed);
  for (Target target : targets()) {
    expect(
        std::string(name(target)) + ", " + name_of(kDtype<T>) + " widened", same_number<double>,
        expected, widened_by_kernel(target, patterns));
  }
}

// With a code that is always 0, all that a quantizer has to round is its offset. A lane for each.
template <typename T>
Buffer<T> narrowed_by_kernel(Target target, const Buffer<float>& numbers) {
  const int64_t count = numbers.size();
  const Buffer<T> x(count, 0);
  Buffer<float> scale(count, 0);
  std::fill_n(scale.data(), count, 1.0f);
  Buffer<T> y(count, 0);
  Block block{};
  block.x = x.data();
  block.y = y.data();
  block.elements = count;
  block.lanes = static_cast<int>(count);
  block.parameters[0] = scale.data();
  block.parameters[1] = numbers.data();
  kernels(target)->find(kDtype<T>, {Operation::kFakeQuantize})(block);
  return y;
}

// Every number of the type, the middles between it and its neighbours, and what is beside these.
template <typename T>
void add_edges(std::vector<float>& numbers) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (int bits = 1; bits < reference::kFormat<T>.infinity(); ++bits) {
    const double number = value(T{static_cast<uint16_t>(bits)});
    const double half = (number - value(T{static_cast<uint16_t>(bits - 1)})) / 2;
    for (double edge : {number - half, number, number + half}) {
      const float x = static_cast<float>(edge);
      for (float near : {std::nextafter(x, -kInfinity), x, std::nextafter(x, kInfinity)}) {
        numbers.push_back(near);
        numbers.push_back(-near);
      }
    }
  }
}

template <typename T>
Buffer<float> floats() {
  std::vector<float> numbers{0.0f, std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity()};
  add_edges<T>(numbers);
  for (int i = 0; i < 200000; ++i) {
    numbers.push_back(bit_cast<float>(static_cast<uint32_t>(random_bits())));
  }
  Buffer<float> buffer(static_cast<int64_t>(numbers.size()), 0);
  std::copy(numbers.begin(), numbers.end(), buffer.data());
  return buffer;
}

template <typename T>
void check_narrowing() {
  const Buffer<float> numbers = floats<T>();
  Buffer<T> expected(numbers.size(), 0);
  Buffer<T> narrowed(numbers.size(), 0);
  for (int64_t i = 0; i < numbers.size(); ++i) {
    expected[i] = reference::nearest<T>(numbers[i]);
    narrowed[i] = actclip::narrow<T>(numbers[i]);
  }
  expect(name_of(kDtype<T>) + " narrowed", same_number<T>, expected, narrowed);
  for (Target target : targets()) {
    expect(
        std::string(name(target)) + ", " + name_of(kDtype<T>) + " narrowed", same_number<T>,
        expected, narrowed_by_kernel<T>(target, numbers));
  }
}

// Convolutions. Rows and steps have gaps where nothing may be read, and, in y, written. A step that is
// never taken is so long that no pointer may go it: the sanitizers see whether one does.

void lengthen_what_is_not_taken(Contraction& c) {
  constexpr int64_t kTooLong = int64_t{1} << 61;
  if (c.rows <= 1) {
    c.x_row = c.w_row = kTooLong;
  }
  if (c.taps <= 1 || c.rows == 0) {
    c.x_tap = c.w_tap = kTooLong;
  }
  if (c.outputs <= 1 || c.taps == 0 || c.rows == 0) {
    c.x_step = kTooLong;
  }
  if (c.outputs <= 1) {
    c.y_step = kTooLong;
  }
}

Contraction some_contraction() {
  Contraction c{};
  c.rows = draw(4);
  c.taps = draw(6);
  c.outputs = draw(40);
  c.x_step = draw(4);
  c.x_tap = draw(3);
  c.x_row = draw(60);
  return c;
}

void check_contraction(
    Target target, int64_t group, void (*contract)(const Contraction&), Contraction c) {
  c.w_tap = group + draw(3);
  c.w_row = c.taps * c.w_tap + draw(3);
  c.y_step = group + draw(3);
  const auto last = [](int64_t count) { return std::max<int64_t>(0, count - 1); };
  const int offset = static_cast<int>(draw(3));
  const Buffer<float> x = some<float>(
      last(c.rows) * c.x_row + last(c.taps) * c.x_tap + last(c.outputs) * c.x_step + 1, offset,
      Values::kAll);
  const Buffer<float> w = some<float>(
      last(c.rows) * c.w_row + last(c.taps) * c.w_tap + group, offset, Values::kFinite);
  Buffer<float> y = some<float>(last(c.outputs) * c.y_step + group, offset, Values::kFinite);
  Buffer<float> expected = y;
  c.x = x.data();
  c.w = w.data();
  c.y = y.data();
  lengthen_what_is_not_taken(c);
  for (int64_t i = 0; i < c.outputs; ++i) {
    for (int64_t channel = 0; channel < group; ++channel) {
      expected[i * c.y_step + channel] = reference::contracted(c, i, channel);
    }
  }
  contract(c);
  expect(
      std::string(name(target)) + ", " + std::to_string(c.outputs) + " outputs of " +
          std::to_string(c.rows) + " x " + std::to_string(c.taps) + " taps",
      same_number<float>, expected, y);
}

void check_packing(Target target, int64_t group, int64_t taps) {
  const Buffer<float> by_channel = some<float>(group * taps, 1, Values::kAll);
  Buffer<float> by_tap = unwritten<float>(group * taps, 1);
  Buffer<float> expected = by_tap;
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t channel = 0; channel < group; ++channel) {
      expected[tap * group + channel] = by_channel[channel * taps + tap];
    }
  }
  kernels(target)->convolution.pack(by_channel.data(), taps, by_tap.data());
  expect(
      std::string(name(target)) + ", " + std::to_string(taps) + " taps packed",
      same_number<float>, expected, by_tap);
}

void check_convolutions() {
  for (Target target : targets()) {
    const auto& kernel = kernels(target)->convolution;
    const int64_t group = kernel.group;
    for (int64_t taps = 0; group > 0 && taps < 40; ++taps) {
      check_packing(target, group, taps);
    }
    for (int i = 0; group > 0 && i < 2000; ++i) {
      check_contraction(target, group, kernel.contract, some_contraction());
      check_contraction(target, group / 2, kernel.contract_half, some_contraction());
    }
  }
}

template <typename T>
void check_all() {
  if constexpr (sizeof(T) == 2) {
    check_widening<T>();
    check_narrowing<T>();
  }
  for (Values values : {Values::kFinite, Values::kAll}) {
    check_elements<T>(values);
    check_in_place<T>(values);
    check_pool<T>(values);
  }
}

}  // namespace

int main() {
  check_targets();
  check_all<float>();
  check_all<double>();
  check_all<BFloat16>();
  check_all<Half>();
  check_norm(Values::kFinite);
  check_norm(Values::kAll);
  check_convolutions();
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
