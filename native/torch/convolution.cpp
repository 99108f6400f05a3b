#include "torch/convolution.h"

#include <limits>
#include <utility>

#include "torch/pool.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

constexpr int64_t kAny = -1;

bool is_plain(AtenTensorHandle tensor, int64_t dim) {
  if (tensor == nullptr || !is_strided(tensor)) {
    return false;
  }
  const View view(tensor);
  return (dim == kAny || view.dim == dim) && view.dtype == aoti_torch_dtype_float32() &&
      view.device_type == aoti_torch_device_type_cpu() && has_memory(view);
}

bool suit(AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t) {
  if (!is_plain(x, 4) || !is_plain(weight, 4) || !is_plain(bias, 1)) {
    return false;
  }
  const View images(x);
  const View kernels(weight);
  const auto leaves_two = [&](int i) {
    return kernels.sizes[i] > 0 && images.sizes[i] > kernels.sizes[i];
  };
  const int64_t channels = kernels.sizes[0];
  return kernels.sizes[1] == images.sizes[1] && View(bias).numel == channels && leaves_two(2) &&
      leaves_two(3) &&
      (t == nullptr || (is_plain(t, kAny) && is_pool_threshold(View(t), channels)));
}

// Above everything.
AtenTensorHandle no_threshold() {
  static const AtenTensorHandle infinity = [] {  // never deleted: LibTorch may end first
    const int64_t one = 1;
    AtenTensorHandle made = nullptr;
    check(
        aoti_torch_empty_strided(
            1, &one, &one, aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0, &made),
        "make a tensor");
    *static_cast<float*>(View(made).data()) = std::numeric_limits<float>::infinity();
    return made;
  }();
  return infinity;
}

Tensor convolve(AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias) {
  const int64_t ones[] = {1, 1};
  const int64_t zeros[] = {0, 0};
  AtenTensorHandle y = nullptr;
  check(
      aoti_torch_cpu_convolution(x, weight, &bias, ones, 2, zeros, 2, ones, 2, 0, zeros, 2, 1, &y),
      "convolve");
  return Tensor(y);
}

}  // namespace

Tensor conv_max_pool_clip(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t) {
  if (!suit(x, weight, bias, t)) {
    return Tensor();
  }
  const Tensor y = convolve(x, weight, bias);
  const View threshold(t == nullptr ? no_threshold() : t);
  return std::move(Cpu::max_pool_clip(View(y.get()), threshold, true).y);
}

}  // namespace actclip
