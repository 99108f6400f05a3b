// What the operations for the CPU share: threads, sums in a fixed order, and the memory of results.
#pragma once

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "cpu/kernels.h"
#include "torch/geometry.h"

namespace actclip {

// Blocks are small enough to keep all threads busy, and their sums are added up in their order, so
// that the same bits come out whatever the number of threads is.
constexpr int64_t kBlockElements = 8192;
// A thread gets at least so many: to wake it for fewer takes longer than to do without it.
constexpr int64_t kGrainElements = 131072;

inline const cpu::Kernels& kernels() {
  static const cpu::Kernels* const best = cpu::kernels(cpu::best_target());
  return *best;
}

// How many lanes columns are repeated over.
inline int lanes_of(int64_t columns) {
  return static_cast<int>(
      columns * ceil_divide(cpu::kLeastLanes, std::max<int64_t>(1, columns)));
}

// Throws what the first task throws that does: it must not get through LibTorch's C function, which
// would keep its message to itself.
template <typename Task>
void parallel_for(int64_t count, int64_t grain, const Task& task) {
  struct Context {
    const Task& task;
    std::once_flag failed;
    std::exception_ptr thrown;
  } context{task, {}, nullptr};
  check(
      torch_parallel_for(
          0, count, std::max<int64_t>(1, grain),
          [](int64_t begin, int64_t end, void* of_all) {
            Context& all = *static_cast<Context*>(of_all);
            try {
              all.task(begin, end);
            } catch (...) {
              std::call_once(all.failed, [&] { all.thrown = std::current_exception(); });
            }
          },
          &context),
      "run in parallel");
  if (context.thrown) {
    std::rethrow_exception(context.thrown);
  }
}

// Gives blocks to threads by turns: one that the machine holds up leaves more to the others. A worker
// is called once in each thread, with what calls its task with one range after the other.
template <typename Worker>
void parallel_by_turns(int64_t count, int64_t block, const Worker& worker) {
  std::atomic<int64_t> next{0};
  const auto for_each_turn = [&](const auto& task) {
    for (int64_t begin = next.fetch_add(block); begin < count; begin = next.fetch_add(block)) {
      task(begin, std::min(begin + block, count));
    }
  };
  parallel_for(
      ceil_divide(count, block), 1, [&](int64_t, int64_t) { worker(for_each_turn); });
}

inline int64_t num_threads() {
  uint32_t threads = 0;
  check(torch_get_num_threads(&threads), "tell the number of threads");
  return std::max<int64_t>(1, threads);
}

// What the blocks of a tensor add up to, by sum and column.
class Reduction {
 public:
  // A block has sums for `width` columns: all of them, or one.
  Reduction(int64_t blocks, int sums, int64_t width, int64_t columns)
      : sums_(sums), width_(width), columns_(columns), blocks_(blocks),
        partial_(static_cast<size_t>(blocks * sums * width)) {}

  // Takes a block's sums by lane. Lane i belongs to column i % width.
  void put(int64_t block, const std::vector<double>& by_lane) {
    const auto lanes = static_cast<int64_t>(by_lane.size()) / std::max(1, sums_);
    for (int sum = 0; sum < sums_; ++sum) {
      double* of_block = partial_.data() + (block * sums_ + sum) * width_;
      const double* of_sum = by_lane.data() + sum * lanes;
      for (int64_t column = 0; column < width_; ++column) {
        double total = of_block[column];
        for (int64_t lane = column; lane < lanes; lane += width_) {
          total += of_sum[lane];
        }
        of_block[column] = total;
      }
    }
  }

  // Adds the blocks in their order. `first_column` tells where a block's columns begin.
  template <typename FirstColumn>
  std::vector<double> total(const FirstColumn& first_column) const {
    std::vector<double> total(static_cast<size_t>(sums_ * columns_));
    for (int64_t block = 0; block < blocks_; ++block) {
      for (int sum = 0; sum < sums_; ++sum) {
        const double* of_block = partial_.data() + (block * sums_ + sum) * width_;
        double* of_sum = total.data() + sum * columns_ + first_column(block);
        for (int64_t column = 0; column < width_; ++column) {
          of_sum[column] += of_block[column];
        }
      }
    }
    return total;
  }

 private:
  int sums_;
  int64_t width_;
  int64_t columns_;
  int64_t blocks_;
  std::vector<double> partial_;
};

// A tensor of numbers, in the dtype and shape of a parameter; or in another shape.
inline Tensor rounded(
    const double* numbers, int64_t count, const std::vector<int64_t>& shape, int32_t dtype,
    const View& like) {
  Tensor made = empty_contiguous(shape, dtype, like);
  const View view(made.get());
  if (count > 0) {
    with_type(dtype_of(view), [&](auto type) {
      using T = decltype(type);
      T* to = static_cast<T*>(view.data());
      for (int64_t i = 0; i < count; ++i) {
        to[i] = converted<T>(numbers[i]);
      }
    });
  }
  return made;
}

// The sums over what shares a parameter, by channel, as the parameter's gradient.
inline Tensor gradient_of(const View& parameter, const double* sums, int64_t channels, double factor) {
  const bool shared = parameter.numel == 1;
  std::vector<double> gradient(static_cast<size_t>(shared ? 1 : channels));
  for (int64_t channel = 0; channel < channels; ++channel) {
    gradient[shared ? 0 : static_cast<size_t>(channel)] += sums[channel];
  }
  for (double& number : gradient) {
    number *= factor;
  }
  return rounded(
      gradient.data(), static_cast<int64_t>(gradient.size()), parameter.shape(), parameter.dtype,
      parameter);
}

// One threshold for each channel.
template <typename T>
std::vector<T> thresholds_of(const View& t, int64_t channels) {
  const int64_t stride = channel_stride(t);
  return with_type(dtype_of(t), [&](auto type) {
    const auto* numbers = static_cast<const decltype(type)*>(t.data());
    std::vector<T> thresholds(static_cast<size_t>(channels));
    for (int64_t c = 0; c < channels; ++c) {
      thresholds[static_cast<size_t>(c)] = converted<T>(numbers[c * stride]);
    }
    return thresholds;
  });
}

// The memory of a new tensor. malloc gives a large block back to the system when it is freed, so a
// new one consists of pages that the system has yet to clear, one by one as they are touched: that
// takes longer than the kernel itself. Large pages make it hundreds of times fewer.
inline void* data_of_new(const Tensor& tensor) {
  const View view(tensor.get());
  char* data = static_cast<char*>(view.data());
#ifdef MADV_HUGEPAGE
  constexpr int64_t kAlwaysFresh = int64_t{32} << 20;  // glibc keeps no larger block
  const int64_t bytes = view.numel * element_size(view);
  if (bytes > kAlwaysFresh) {
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data + bytes) / page * page;
    // A wish: where it is not granted, the pages are small ones.
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  }
#endif
  return data;
}

}  // namespace actclip
