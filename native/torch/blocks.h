// How the operations on elements run on the CPU: block by block, each with its parameters.
#pragma once

#include "torch/cpu.h"
#include "torch/elements.h"

namespace actclip {

// How memory is split into blocks, and a block into lanes. A block holds whole rows of all channels,
// each with its inner elements; or where such a row would be long, a part of one channel's run.
struct Plan {
  static constexpr int64_t kShortRun = 64;
  static constexpr int64_t kLongRow = 1 << 14;
  // Each block has sums for all columns: with few rows they would take as much memory as x.
  static constexpr int64_t kLeastRows = 16;

  Geometry geometry;
  int64_t columns;  // whose sums are kept apart: all elements of a row, or one
  int lanes;
  int64_t block_elements;
  int64_t blocks_of_run;  // 0 when blocks hold rows
  int64_t blocks;

  explicit Plan(const Geometry& g) : geometry(g) {
    const int64_t row = std::max<int64_t>(1, g.channels * g.inner);
    const bool runs = g.inner > 1 && (g.inner >= kShortRun || row > kLongRow);
    columns = runs ? 1 : row;
    lanes = lanes_of(columns);
    block_elements = lanes * std::max(kLeastRows, kBlockElements / lanes);
    blocks_of_run = runs ? ceil_divide(g.inner, block_elements) : 0;
    blocks = runs ? g.outer * g.channels * blocks_of_run
                  : ceil_divide(g.outer * g.channels * g.inner, block_elements);
  }

  bool has_runs() const { return blocks_of_run > 0; }

  int64_t start(int64_t block) const {
    return has_runs() ? block / blocks_of_run * geometry.inner +
                            block % blocks_of_run * block_elements
                      : block * block_elements;
  }

  int64_t length(int64_t block) const {
    const int64_t begin = has_runs() ? block % blocks_of_run * block_elements : start(block);
    const int64_t whole =
        has_runs() ? geometry.inner : geometry.outer * geometry.channels * geometry.inner;
    return std::min(block_elements, whole - begin);
  }

  // The channel of all of a block's elements, where it holds only one.
  int64_t channel(int64_t block) const {
    return has_runs() ? block / blocks_of_run % geometry.channels : 0;
  }

  int64_t columns_of_channel() const { return has_runs() ? 1 : geometry.inner; }

  int64_t all_columns() const { return geometry.channels * columns_of_channel(); }

  // In blocks, of so many elements.
  int64_t grain(int64_t of_elements) const {
    const int64_t elements = has_runs() ? std::min(block_elements, geometry.inner) : block_elements;
    return of_elements / std::max<int64_t>(1, elements);
  }
};

// A parameter's numbers, one for each lane: of a row, or of each channel's runs.
template <typename To>
class Lanes {
 public:
  Lanes(const Plan& plan, const View& parameter) {
    if (!parameter || plan.geometry.channels == 0) {
      return;
    }
    const int64_t channels = plan.geometry.channels;
    const int64_t lanes = plan.has_runs() ? channels * plan.lanes : plan.lanes;
    const int64_t of_channel = plan.has_runs() ? plan.lanes : plan.columns_of_channel();
    numbers_.resize(static_cast<size_t>(lanes));
    with_type(dtype_of(parameter), [&](auto type) {
      using T = decltype(type);
      const T* numbers = static_cast<const T*>(parameter.data());
      const int64_t stride = channel_stride(parameter);
      for (int64_t lane = 0; lane < lanes;) {
        for (int64_t channel = 0; channel < channels; ++channel, lane += of_channel) {
          std::fill_n(numbers_.data() + lane, of_channel, converted<To>(numbers[channel * stride]));
        }
      }
    });
  }

  const void* of_channel(const Plan& plan, int64_t channel) const {
    return numbers_.empty() ? nullptr : numbers_.data() + channel * plan.lanes;
  }

 private:
  std::vector<To> numbers_;
};

// Sums by sum and column, as sums by sum and channel.
inline std::vector<double> by_channel(const Plan& plan, int sums, std::vector<double> by_column) {
  const int64_t of_channel = plan.columns_of_channel();
  if (of_channel == 1) {
    return by_column;
  }
  std::vector<double> result(static_cast<size_t>(sums * plan.geometry.channels));
  for (size_t i = 0; i < by_column.size(); ++i) {
    result[i / static_cast<size_t>(of_channel)] += by_column[i];
  }
  return result;
}

// Where the tensors of an operation begin; null where it has none of the kind.
struct Memory {
  const char* g;
  const char* x;
  char* y;
  uint8_t* fates;
  const char* addend = nullptr;
};

template <typename T>
T* moved(T* begin, int64_t offset) {
  return begin == nullptr ? nullptr : begin + offset;
}

inline char* bytes_of(const View& x) { return static_cast<char*>(x.data()); }

inline char* bytes_of_new(const Tensor& tensor) {
  return static_cast<char*>(data_of_new(tensor));
}

// Runs a kernel over all blocks of memory that is laid out as the plan says. `fill` gives a block its
// parameters, from its channel.
template <typename Fill>
std::vector<double> run(
    const Plan& plan, Dtype dtype, const cpu::Variant& variant, int sums, const Memory& memory,
    const Fill& fill, int64_t grain = kGrainElements) {
  const cpu::Kernel kernel = kernels().find(dtype, variant);
  const auto bytes = with_type(dtype, [](auto type) { return static_cast<int64_t>(sizeof(type)); });
  Reduction reduction(plan.blocks, sums, plan.columns, plan.all_columns());
  parallel_for(plan.blocks, plan.grain(grain), [&](int64_t begin, int64_t end) {
    std::vector<double> by_lane(static_cast<size_t>(sums) * static_cast<size_t>(plan.lanes));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(by_lane.begin(), by_lane.end(), 0.0);
      const int64_t start = plan.start(i);
      cpu::Block block{};
      block.g = moved(memory.g, start * bytes);
      block.x = moved(memory.x, start * bytes);
      block.y = moved(memory.y, start * bytes);
      block.fates = moved(memory.fates, start);
      block.addend = moved(memory.addend, start * bytes);
      block.elements = plan.length(i);
      block.lanes = plan.lanes;
      block.sums = by_lane.data();
      fill(block, plan.channel(i));
      kernel(block);
      reduction.put(i, by_lane);
    }
  });
  return by_channel(
      plan, sums, reduction.total([&](int64_t block) { return plan.channel(block); }));
}

// Calls `task` with what gives a block the parameters of a clip.
template <typename Task>
auto with_limits(const Plan& plan, Dtype dtype, const Limits& limits, const Task& task) {
  return with_type(dtype, [&](auto type) {
    using T = decltype(type);
    const Lanes<T> hi(plan, limits.hi);
    const Lanes<T> value(plan, limits.value);
    const Lanes<T> lo(plan, limits.lo);
    return task([&](cpu::Block& block, int64_t channel) {
      block.parameters[0] = hi.of_channel(plan, channel);
      block.parameters[1] = (limits.value ? value : hi).of_channel(plan, channel);
      block.parameters[2] = lo.of_channel(plan, channel);
    });
  });
}

template <typename Task>
auto with_quantizer(const Plan& plan, Dtype dtype, const Quantizer& quantizer, const Task& task) {
  return with_type(dtype, [&](auto type) {
    using W = Wide<decltype(type)>;
    const Lanes<W> scale(plan, quantizer.scale);
    const Lanes<W> offset(plan, quantizer.offset);
    return task([&](cpu::Block& block, int64_t channel) {
      block.parameters[0] = scale.of_channel(plan, channel);
      block.parameters[1] = offset.of_channel(plan, channel);
      block.low = static_cast<double>(quantizer.low);
      block.high = static_cast<double>(quantizer.high);
    });
  });
}

template <typename Task>
auto with_limit(const Plan& plan, Dtype dtype, const Limit& limit, const Task& task) {
  if (limit.high == 0) {
    return with_limits(plan, dtype, {limit.first, View(nullptr), View(nullptr), true}, task);
  }
  return with_quantizer(plan, dtype, {limit.first, limit.second, 0, limit.high}, task);
}

}  // namespace actclip
