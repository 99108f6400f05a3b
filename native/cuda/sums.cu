// The second stage of every sum.
#include "cuda/elements.h"

namespace actclip {
namespace cuda {
namespace {

__device__ void write(void* numbers, Dtype dtype, int64_t i, double number) {
  switch (dtype) {
    case Dtype::kFloat32:
      static_cast<float*>(numbers)[i] = static_cast<float>(number);
      break;
    case Dtype::kFloat64:
      static_cast<double*>(numbers)[i] = number;
      break;
    case Dtype::kBFloat16:
      static_cast<BFloat16*>(numbers)[i] = converted<BFloat16>(number);
      break;
    default:
      static_cast<Half*>(numbers)[i] = converted<Half>(number);
  }
}

// A block for each total. It adds up `width` neighbours of every chunk, `apart` from those of the
// next.
__global__ void add_chunks(
    const double* partial, int64_t chunks, int64_t apart, int64_t width, double factor,
    Dtype dtype, void* totals) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < chunks * width; i += blockDim.x) {
    sum += partial[i / width * apart + i % width + blockIdx.x];
  }
  const double total = add_up(sum, static_cast<int>(blockDim.x), 1);
  if (threadIdx.x == 0) {
    write(totals, dtype, blockIdx.x, total * factor);
  }
}

// The totals of the sums from `first` on.
Tensor add(
    const Launcher& launcher, const Partial& partial, int64_t first, int64_t width, double factor,
    const std::vector<int64_t>& shape, int32_t dtype, const View& like) {
  Tensor made = empty_contiguous(shape, dtype, like);
  const View totals(made.get());
  int threads = 1;
  while (threads < kThreads && threads < partial.chunks * width) {
    threads *= 2;
  }
  launcher.launch<const double*, int64_t, int64_t, int64_t, double, Dtype, void*>(
      totals.numel, threads, add_chunks, data<double>(partial.numbers) + first, partial.chunks,
      partial.sums * partial.channels, width, factor, dtype_of(totals), totals.data());
  return made;
}

}  // namespace

Tensor gradient_of(
    const Launcher& launcher, const View& parameter, const Partial& partial, int64_t sum,
    double factor) {
  return add(
      launcher, partial, sum * partial.channels, parameter.numel == 1 ? partial.channels : 1,
      factor, parameter.shape(), parameter.dtype, parameter);
}

Tensor totals_of(
    const Launcher& launcher, const Partial& partial, const std::vector<int64_t>& shape,
    int32_t dtype, const View& like) {
  return add(launcher, partial, 0, 1, 1, shape, dtype, like);
}

}  // namespace cuda
}  // namespace actclip
