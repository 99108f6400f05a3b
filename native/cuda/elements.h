// What kernels on elements are made of: packs, parameters and sums.
#pragma once

#include "cuda/plan.h"
#include "torch/tensor.h"

namespace actclip::cuda {

// A parameter's numbers, in its own dtype.
struct Parameter {
  const void* numbers = nullptr;
  int64_t stride = 0;
  Dtype dtype = Dtype::kFloat32;

  Parameter() = default;
  explicit Parameter(const View& p) {
    if (p) {
      numbers = p.data();
      stride = channel_stride(p);
      dtype = dtype_of(p);
    }
  }
};

template <typename T>
T* data(const View& tensor) {
  return static_cast<T*>(tensor.data());
}

template <typename T>
T* data(const Tensor& tensor) {
  return data<T>(View(tensor.get()));
}

// Sums of chunks, in float64: (chunks, sums, channels).
struct Partial {
  Tensor numbers;
  int64_t chunks;
  int64_t sums;
  int64_t channels;

  Partial(const Plan& plan, int64_t sums_of_channel, const View& like)
      : numbers(empty_contiguous(
            {plan.chunks, sums_of_channel, plan.channels}, aoti_torch_dtype_float64(), like)),
        chunks(plan.chunks), sums(sums_of_channel), channels(plan.channels) {}
};

// The sums of all chunks, of all channels too where they share the parameter, as its gradient.
Tensor gradient_of(
    const Launcher& launcher, const View& parameter, const Partial& partial, int64_t sum,
    double factor);

// The sums of all chunks as they are.
Tensor totals_of(
    const Launcher& launcher, const Partial& partial, const std::vector<int64_t>& shape,
    int32_t dtype, const View& like);

namespace {

// A call, as add_up below: inlined everywhere, they were half of the time that nvcc takes.
template <typename To>
__device__ __noinline__ To number_of(const Parameter& p, int64_t channel) {
  const int64_t i = channel * p.stride;
  switch (p.dtype) {
    case Dtype::kFloat32:
      return converted<To>(static_cast<const float*>(p.numbers)[i]);
    case Dtype::kFloat64:
      return converted<To>(static_cast<const double*>(p.numbers)[i]);
    case Dtype::kBFloat16:
      return converted<To>(static_cast<const BFloat16*>(p.numbers)[i]);
    default:
      return converted<To>(static_cast<const Half*>(p.numbers)[i]);
  }
}

// A group's numbers, one for each lane.
template <typename To, int kLanes>
__device__ void read(const Parameter& p, const Plan& plan, int64_t group, To (&to)[kLanes]) {
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) {
    const int64_t channel = plan.channel(group, lane);
    if (lane > 0 && plan.together) {
      to[lane] = to[0];
    } else {
      to[lane] = channel < plan.channels ? number_of<To>(p, channel) : To{};
    }
  }
}

// What a thread reads and writes at once.
template <typename T, int kLanes>
struct Pack {
  T at[kLanes];
};

template <int kBytes>
using Word =
    std::conditional_t<kBytes == 4, uint32_t, std::conditional_t<kBytes == 8, uint2, uint4>>;

template <typename T, int kLanes>
__device__ bool is_whole(const T* memory, int count) {
  return count == kLanes && reinterpret_cast<uintptr_t>(memory) % (sizeof(T) * kLanes) == 0;
}

template <int kLanes, typename T>
__device__ Pack<T, kLanes> load(const T* from, int count) {
  if (is_whole<T, kLanes>(from, count)) {
    return bit_cast<Pack<T, kLanes>>(
        *reinterpret_cast<const Word<sizeof(T) * kLanes>*>(from));
  }
  Pack<T, kLanes> pack{};
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) {
    if (lane < count) {
      pack.at[lane] = from[lane];
    }
  }
  return pack;
}

template <typename T, int kLanes>
__device__ void store(T* to, const Pack<T, kLanes>& pack, int count) {
  if (is_whole<T, kLanes>(to, count)) {
    using Whole = Word<sizeof(T) * kLanes>;
    *reinterpret_cast<Whole*>(to) = bit_cast<Whole>(pack);
    return;
  }
#pragma unroll
  for (int lane = 0; lane < kLanes; ++lane) {
    if (lane < count) {
      to[lane] = pack.at[lane];
    }
  }
}

// The accumulator that formulas add to.
template <int kSums, int kLanes>
struct LaneSums {
  double at[kSums][kLanes] = {};

  template <typename W>
  __device__ void add(int sum, int lane, W value) {
    at[sum][lane] += static_cast<double>(value);
  }

  template <typename W>
  __device__ void add_product(int sum, int lane, W a, W b) {
    at[sum][lane] += static_cast<double>(a) * static_cast<double>(b);
  }
};

template <int kLanes>
struct LaneSums<0, kLanes> {};

// Adds numbers of a block's threads up, those of equal remainder by `across`, in the order of a
// tree. The first threads get the sums. Both are powers of two.
__device__ __noinline__ double add_up(double number, int threads, int64_t across) {
  __shared__ double shared[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // for those who still read what the last call left
  shared[thread] = number;
  for (int half = threads / 2; half >= across; half /= 2) {
    __syncthreads();
    if (thread < half) {
      shared[thread] += shared[thread + half];
    }
  }
  return shared[thread];
}

// Writes what the threads of a block add up to.
template <int kSums, int kLanes>
__device__ void put(const LaneSums<kSums, kLanes>& sums, const Plan& plan, double* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t group = plan.group(blockIdx.x, thread);
  double* const of_chunk = partial + blockIdx.x % plan.chunks * kSums * plan.channels;
#pragma unroll
  for (int sum = 0; sum < kSums; ++sum) {
    double all = 0;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      all = plan.together ? all + sums.at[sum][lane] : sums.at[sum][lane];
      if (plan.together && lane < kLanes - 1) {
        continue;
      }
      const double total = add_up(all, kThreads, plan.across);
      const int64_t channel = plan.channel(group, lane);
      if (thread < plan.across && group < plan.groups && channel < plan.channels) {
        of_chunk[sum * plan.channels + channel] = total;
      }
    }
  }
}

// Runs a task over all packs: it is called with where a pack begins, how many elements it has, the
// parameters of its channels, which `Lanes` reads, and the thread's sums.
template <typename Lanes, typename Task>
__global__ void __launch_bounds__(kThreads)
    run(Plan plan, typename Lanes::Source source, Task task, double* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t group = plan.group(blockIdx.x, thread);
  LaneSums<Task::kSums, Task::kLanes> sums;
  if (group < plan.groups) {
    const Lanes lanes(source, plan, group);
    const int64_t end = plan.end_item(blockIdx.x);
    for (int64_t item = plan.first_item(blockIdx.x, thread); item < end; item += plan.down()) {
      const Plan::Span span = plan.span(group, item);
      task(span.start, span.count, lanes, sums);
    }
  }
  if constexpr (Task::kSums > 0) {
    put(sums, plan, partial);
  }
}

template <typename Lanes, typename Task>
void run_forward(
    const Launcher& launcher, const Plan& plan, const typename Lanes::Source& source,
    const Task& task) {
  launcher.launch(
      plan.blocks(), kThreads, run<Lanes, Task>, plan, source, task, static_cast<double*>(nullptr));
}

template <typename Lanes, typename Task>
Partial run_backward(
    const Launcher& launcher, const Plan& plan, const typename Lanes::Source& source,
    const Task& task, const View& like) {
  Partial partial(plan, Task::kSums, like);
  launcher.launch(
      plan.blocks(), kThreads, run<Lanes, Task>, plan, source, task,
      data<double>(partial.numbers));
  return partial;
}

// The tasks of an operation.

template <typename T>
constexpr int kLanesOf = 16 / sizeof(T);

template <typename Op>
struct Forward {
  using T = typename Op::T;
  static constexpr int kLanes = kLanesOf<T>;
  static constexpr int kSums = 0;
  const T* x;
  T* y;

  __device__ void operator()(
      int64_t start, int count, const typename Op::Parameters& p, LaneSums<0, kLanes>&) const {
    Pack<T, kLanes> pack = load<kLanes>(x + start, count);
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      pack.at[lane] = Op::forward(pack.at[lane], p, lane);
    }
    store(y + start, pack, count);
  }
};

template <typename Op>
struct Backward {
  using T = typename Op::T;
  static constexpr int kLanes = kLanesOf<T>;
  static constexpr int kSums = Op::kSums;
  const T* g;
  const T* x;
  T* gx;

  __device__ void operator()(
      int64_t start, int count, const typename Op::Parameters& p,
      LaneSums<kSums, kLanes>& sums) const {
    Pack<T, kLanes> pack = load<kLanes>(g + start, count);
    const Pack<T, kLanes> of_x = load<kLanes>(x + start, count);
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      if (lane < count) {
        pack.at[lane] = Op::backward(pack.at[lane], of_x.at[lane], p, lane, sums);
      }
    }
    store(gx + start, pack, count);
  }
};

template <typename Op>
struct Statistics {
  using T = typename Op::T;
  static constexpr int kLanes = kLanesOf<T>;
  static constexpr int kSums = Op::kSums;
  const T* g;
  const T* x;

  __device__ void operator()(
      int64_t start, int count, const typename Op::Parameters& p,
      LaneSums<kSums, kLanes>& sums) const {
    const Pack<T, kLanes> of_g = load<kLanes>(g + start, count);
    const Pack<T, kLanes> of_x = load<kLanes>(x + start, count);
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      if (lane < count) {
        Op::backward(of_g.at[lane], of_x.at[lane], p, lane, sums);
      }
    }
  }
};

}  // namespace
}  // namespace actclip::cuda
