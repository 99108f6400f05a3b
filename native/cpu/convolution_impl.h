// The kernel of a convolution, for processors with vectors of 256 or 512 bits that multiply and add in
// one instruction. All sums of a block of outputs stay in registers while the taps go by.
#pragma once

#include <immintrin.h>

#include <utility>

#include "cpu/kernels.h"

namespace actclip::cpu {
namespace {

#ifdef __AVX512F__
using Vector = __m512;
constexpr int kMostOutputs = 14;  // twice as many sums, two weights and a number: 31 registers of 32

ACTCLIP_FUNCTION Vector load(const float* from) { return _mm512_loadu_ps(from); }
ACTCLIP_FUNCTION void store(float* to, Vector numbers) { _mm512_storeu_ps(to, numbers); }
ACTCLIP_FUNCTION Vector repeated(float number) { return _mm512_set1_ps(number); }
ACTCLIP_FUNCTION Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}

// Their numbers by turns: a0, b0, a1, b1, ...
ACTCLIP_FUNCTION void interleave(Vector a, Vector b, Vector& low, Vector& high) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  low = _mm512_permutex2var_ps(a, first, b);
  high = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b);
}
#else
using Vector = __m256;
constexpr int kMostOutputs = 6;  // 15 registers of 16

ACTCLIP_FUNCTION Vector load(const float* from) { return _mm256_loadu_ps(from); }
ACTCLIP_FUNCTION void store(float* to, Vector numbers) { _mm256_storeu_ps(to, numbers); }
ACTCLIP_FUNCTION Vector repeated(float number) { return _mm256_set1_ps(number); }
ACTCLIP_FUNCTION Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}

// Their numbers by turns: a0, b0, a1, b1, ...
ACTCLIP_FUNCTION void interleave(Vector a, Vector b, Vector& low, Vector& high) {
  const Vector even = _mm256_unpacklo_ps(a, b);  // of each half of the vectors
  const Vector odd = _mm256_unpackhi_ps(a, b);
  low = _mm256_permute2f128_ps(even, odd, 0x20);
  high = _mm256_permute2f128_ps(even, odd, 0x31);
}
#endif

constexpr int kLanes = sizeof(Vector) / sizeof(float);
constexpr int kMostVectors = 2;
constexpr int kGroup = kMostVectors * kLanes;

// Calls `task` with 0, 1, ... as constants: compilers keep an array in registers only if each index
// into it is one from the start.
template <typename Task, int... kIndices>
ACTCLIP_FUNCTION void for_each(std::integer_sequence<int, kIndices...>, const Task& task) {
  (task(std::integral_constant<int, kIndices>{}), ...);
}

template <int kCount, typename Task>
ACTCLIP_FUNCTION void repeat(const Task& task) {
  for_each(std::make_integer_sequence<int, kCount>{}, task);
}

template <int kVectors, int kOutputs>
void contract_block(const Contraction& c, const float* x, float* y) {
  Vector sums[kOutputs][kVectors];
  repeat<kOutputs>([&](auto i) {
    repeat<kVectors>([&](auto v) { sums[i][v] = load(y + i * c.y_step + v * kLanes); });
  });
  const int64_t taps = c.taps;
  const int64_t x_tap = c.x_tap;
  const int64_t x_step = c.x_step;
  const int64_t w_tap = c.w_tap;
  // Of three neighbours the middle one, or of less the first: an address may have the step added or
  // taken away, and a register for each would be too many.
  constexpr int kThrees = (kOutputs + 2) / 3;
  constexpr auto middle = [](int i) { return 3 * i + 1 < kOutputs ? 3 * i + 1 : 3 * i; };
  for (int64_t row = 0; row < c.rows; ++row) {
    const float* w = c.w + row * c.w_row;
    const float* middles[kThrees];
    repeat<kThrees>([&](auto i) { middles[i] = x + row * c.x_row + middle(i) * x_step; });
    for (int64_t tap = 0;;) {
      Vector weights[kVectors];
      repeat<kVectors>([&](auto v) { weights[v] = load(w + v * kLanes); });
      repeat<kOutputs>([&](auto i) {
        const Vector number = repeated(middles[i / 3][(i - middle(i / 3)) * x_step]);
        repeat<kVectors>([&](auto v) {
          sums[i][v] = multiply_add(number, weights[v], sums[i][v]);
        });
      });
      if (++tap == taps) {
        break;  // there is nothing behind the last one for a pointer to go to
      }
      repeat<kThrees>([&](auto i) { middles[i] += x_tap; });
      w += w_tap;
    }
  }
  repeat<kOutputs>([&](auto i) {
    repeat<kVectors>([&](auto v) { store(y + i * c.y_step + v * kLanes, sums[i][v]); });
  });
}

template <int kVectors, int kOutputs>
void contract_up_to(const Contraction& c, int64_t outputs, const float* x, float* y) {
  if constexpr (kOutputs > 0) {
    if (outputs == kOutputs) {
      contract_block<kVectors, kOutputs>(c, x, y);
    } else {
      contract_up_to<kVectors, kOutputs - 1>(c, outputs, x, y);
    }
  }
}

// In blocks of about one size.
template <int kVectors>
void contract(const Contraction& c) {
  if (c.rows == 0 || c.taps == 0) {
    return;
  }
  int64_t first = 0;
  for (int64_t blocks = (c.outputs + kMostOutputs - 1) / kMostOutputs; blocks > 0; --blocks) {
    const int64_t outputs = (c.outputs - first + blocks - 1) / blocks;
    contract_up_to<kVectors, kMostOutputs>(c, outputs, c.x + first * c.x_step, c.y + first * c.y_step);
    first += outputs;
  }
}

// A square of numbers. To interleave its first half of rows with its second, as often as halves can be
// halved, exchanges rows and columns.
ACTCLIP_FUNCTION void transpose(const float* from, int64_t from_step, float* to, int64_t to_step) {
  Vector rows[kLanes];
  repeat<kLanes>([&](auto i) { rows[i] = load(from + i * from_step); });
  constexpr int kHalvings = kLanes == 16 ? 4 : 3;
  repeat<kHalvings>([&](auto) {
    Vector next[kLanes];
    repeat<kLanes / 2>([&](auto i) {
      interleave(rows[i], rows[i + kLanes / 2], next[2 * i], next[2 * i + 1]);
    });
    repeat<kLanes>([&](auto i) { rows[i] = next[i]; });
  });
  repeat<kLanes>([&](auto i) { store(to + i * to_step, rows[i]); });
}

void pack(const float* by_channel, int64_t taps, float* by_tap) {
  int64_t tap = 0;
  for (; tap + kLanes <= taps; tap += kLanes) {
    for (int channel = 0; channel < kGroup; channel += kLanes) {
      transpose(
          by_channel + channel * taps + tap, taps, by_tap + tap * kGroup + channel, kGroup);
    }
  }
  for (; tap < taps; ++tap) {
    for (int channel = 0; channel < kGroup; ++channel) {
      by_tap[tap * kGroup + channel] = by_channel[channel * taps + tap];
    }
  }
}

constexpr Convolution kConvolution{kGroup, contract<kMostVectors>, contract<kMostVectors / 2>, pack};

}  // namespace
}  // namespace actclip::cpu
