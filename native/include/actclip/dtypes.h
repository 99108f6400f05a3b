// The floating-point types of tensors, and the type that each is compared and computed in.
#pragma once

#include <cstdint>
#include <type_traits>

// Inlined always, because a call keeps compilers from vectorising a loop.
#ifdef __CUDACC__
#define ACTCLIP_FUNCTION __host__ __device__ inline
#else
#define ACTCLIP_FUNCTION inline __attribute__((always_inline))
#endif

namespace actclip {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

enum class Dtype { kFloat32, kFloat64, kBFloat16, kFloat16 };

// Everything that kernels call has internal linkage: the same source is compiled for several
// processors, and the linker must not take one's code for another.
namespace {

template <typename To, typename From>
ACTCLIP_FUNCTION To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "a cast of bits keeps the size");
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

template <int kBytes>
using BitsOf = std::conditional_t<
    kBytes == 1, uint8_t,
    std::conditional_t<
        kBytes == 2, uint16_t, std::conditional_t<kBytes == 4, uint32_t, uint64_t>>>;

ACTCLIP_FUNCTION float widen(float x) { return x; }

ACTCLIP_FUNCTION double widen(double x) { return x; }

ACTCLIP_FUNCTION float widen(BFloat16 x) {
  return bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

// Chooses by bits: compilers turn a chain of conditional expressions into branches, and do not
// vectorise them.
template <typename T>
ACTCLIP_FUNCTION T select(bool condition, T a, T b) {
  using Bits = BitsOf<sizeof(T)>;
  const Bits mask = static_cast<Bits>(-static_cast<Bits>(condition));
  return bit_cast<T>(
      static_cast<Bits>((bit_cast<Bits>(a) & mask) | (bit_cast<Bits>(b) & ~mask)));
}

// Without branches, and without float's own subnormals, which some programs flush to zero.
ACTCLIP_FUNCTION float widen(Half x) {
  constexpr uint32_t kExponent = 0x1fu << 23;       // Half's exponent where float's begins
  constexpr uint32_t kRebias = (127u - 15u) << 23;  // from Half's exponent to float's
  constexpr uint32_t kSmallestNormal = kRebias + (1u << 23);
  const uint32_t magnitude = (x.bits & 0x7fffu) << 13;
  const uint32_t exponent = magnitude & kExponent;
  const uint32_t normal = magnitude + kRebias + (exponent == kExponent ? kRebias : 0u);
  const float subnormal =
      bit_cast<float>(magnitude + kSmallestNormal) - bit_cast<float>(kSmallestNormal);
  const uint32_t bits = exponent == 0 ? bit_cast<uint32_t>(subnormal) : normal;
  return bit_cast<float>(bits | (x.bits & 0x8000u) << 16);
}

template <typename T>
using Wide = decltype(widen(T{}));

// Rounds to nearest, ties to even, as LibTorch does.
template <typename T>
ACTCLIP_FUNCTION T narrow(Wide<T> x) {
  return x;
}

template <>
ACTCLIP_FUNCTION BFloat16 narrow<BFloat16>(float x) {
  const uint32_t bits = bit_cast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<uint16_t>(x != x ? 0x7fc0u : rounded)};
}

template <>
ACTCLIP_FUNCTION Half narrow<Half>(float x) {
  constexpr uint32_t kInfinity = 0x7f800000u;
  constexpr uint32_t kTooLarge = (127u + 16u) << 23;        // 65536
  constexpr uint32_t kSmallestNormal = (127u - 14u) << 23;  // 2^-14
  constexpr uint32_t kOneHalf = (127u - 1u) << 23;  // adding it leaves a subnormal's bits at the end
  const uint32_t bits = bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0xfffu + odd) >> 13;
  const uint32_t subnormal =
      bit_cast<uint32_t>(bit_cast<float>(magnitude) + bit_cast<float>(kOneHalf)) - kOneHalf;
  const uint32_t large = magnitude > kInfinity ? 0x7e00u : 0x7c00u;
  const uint32_t small = magnitude < kSmallestNormal ? subnormal : normal;
  const uint32_t result = magnitude >= kTooLarge ? large : small;
  return {static_cast<uint16_t>(result | (bits >> 16 & 0x8000u))};
}

// A float64 is rounded to float32 on its way to fewer bits, as LibTorch does.
template <typename To, typename From>
ACTCLIP_FUNCTION To converted(From x) {
  return narrow<To>(static_cast<Wide<To>>(widen(x)));
}

}  // namespace
}  // namespace actclip
