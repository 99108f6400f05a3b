// The kernels for the CPU: each works on one block of memory. Their callers split tensors into
// blocks and add the blocks' sums up, in an order that does not depend on threads.
#pragma once

#include <cstdint>

#include "actclip/formulas.h"

namespace actclip::cpu {

enum class Target { kPortable, kAvx2, kAvx512 };

enum class Operation {
  kClip,
  kClipBackward,
  kClipStatistics,
  kFakeQuantize,
  kFakeQuantizeBackward,
  // With relu before them, in place:
  kReluClip,
  kReluClipBackward,
  kReluFakeQuantize,
  kReluFakeQuantizeBackward,
  // Of float32, with batch normalisation before that: the sums of x and of its square, the output, the
  // sums for backward, and the gradient by x.
  kNormSums,
  kNormClip,
  kNormClipSums,
  kNormFakeQuantize,
  kNormFakeQuantizeSums,
  kNormBackward,
};

struct Variant {
  Operation operation;
  bool relu = false;
  bool below = false;
  ScaleGradient scale_gradient = ScaleGradient::kClipped;
};

// Rows of fewer lanes are not worth their loop: parameters are repeated up to so many at least. It
// is the same number for all processors, so that all add up in the same order.
constexpr int kLeastLanes = 64;

// One block. Element i belongs to lane i % lanes.
struct Block {
  const void* g;  // for backward
  const void* x;
  const void* addend;  // to what is normalised; null without one
  void* y;  // the output, or the gradient by x; in place it is x; in a norm's sums null or what is passed on of g
  uint8_t* fates;  // in place, a byte for each element; null where backward does not follow
  int64_t elements;
  int lanes;
  // By lane: hi, value, lo in the dtype of x; or scale, offset in the one it is computed in.
  const void* parameters[3];
  const float* norm[3];  // by lane: those of Normalization
  double low;  // of a quantizer's codes
  double high;
  double* sums;  // by sum and lane; what is there is added to
};

using Kernel = void (*)(const Block&);

// One row of outputs of a 2x2 pooling. In memory that is channels-last its elements belong to the
// channels in turn, else all to one.
struct PoolRow {
  const void* top;  // the two rows of inputs
  const void* bottom;
  void* y;
  uint8_t* codes;    // two in a byte; null where they are not wanted
  uint8_t* scratch;  // a byte for each output
  int64_t outputs;   // in the row, those of all its channels
  int64_t channels;
  const void* thresholds;  // by channel
  int64_t y_step;          // channels-last: from an output to its neighbour, of codes too
};

struct PoolRowBackward {
  const void* g;
  const uint8_t* codes;
  uint8_t* scratch;
  void* top;  // the two rows of the gradient by the inputs
  void* bottom;
  int64_t outputs;
  int64_t channels;
  int lanes;     // a multiple of the channels
  double* sums;  // by lane; what is there is added to
};

using PoolKernel = void (*)(const PoolRow&);
using PoolBackwardKernel = void (*)(const PoolRowBackward&);

// What a convolution consists of, forward and backward, for one group of channels c:
//
//   y[i * y_step + c] += x[row * x_row + tap * x_tap + i * x_step] * w[row * w_row + tap * w_tap + c]
//
// for all i < outputs, and row by row for all of a row's taps, each product rounded once, with its sum.
// So the bits depend neither on how large the group is nor on how outputs are split.
struct Contraction {
  int64_t rows;
  int64_t taps;
  int64_t outputs;
  const float* x;
  int64_t x_row;
  int64_t x_tap;
  int64_t x_step;
  const float* w;
  int64_t w_row;
  int64_t w_tap;
  float* y;
  int64_t y_step;
};

struct Convolution {
  int64_t group;  // channels that are computed together; 0 where there is no such kernel
  void (*contract)(const Contraction&);
  void (*contract_half)(const Contraction&);  // for the first half of the group
  // Weights by channel of a group and tap, as they are by tap and channel.
  void (*pack)(const float* by_channel, int64_t taps, float* by_tap);
};

// The kernels for one kind of processor.
struct Kernels {
  Kernel (*find)(Dtype, const Variant&);
  PoolKernel (*find_pool)(Dtype, bool relu, bool channels_last);
  PoolBackwardKernel (*find_pool_backward)(Dtype, bool channels_last);
  Convolution convolution;
};

extern const Kernels kPortableKernels;
#ifdef __x86_64__
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// Null when this processor does not run them.
const Kernels* kernels(Target target);

// The fastest that this processor runs.
Target best_target();

const char* name(Target target);

}  // namespace actclip::cpu
