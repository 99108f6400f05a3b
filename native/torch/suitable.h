// Whether arguments that nobody has checked suit the kernels, if there are some for their device.
// Never throws for those that do not.
#pragma once

#include "torch/geometry.h"

namespace actclip {

inline bool is_strided(AtenTensorHandle tensor) {
  if (tensor == nullptr || !is_defined(tensor)) {
    return false;
  }
  int32_t layout = 0;
  check(aoti_torch_get_layout(tensor, &layout), "tell a tensor's layout");
  return layout == aoti_torch_layout_strided();
}

inline bool is_like(const View& tensor, const View& x) {
  return is_floating(tensor) && tensor.device_type == x.device_type &&
      tensor.device_index == x.device_index;
}

// What LibTorch materialises only when it is used has none.
inline bool has_memory(const View& tensor) {
  void* pointer = nullptr;
  check(aoti_torch_get_data_ptr(tensor.handle, &pointer), "tell where a tensor's data are");
  return pointer != nullptr || tensor.numel == 0;
}

// Their sums take less memory than the activations, and LibTorch's operations are faster for more.
constexpr int64_t kChannelsThatPay = int64_t{1} << 14;

// For thresholds, one at least, that all have one element or differ along the same dimension of x.
inline bool suit_kernels(
    AtenTensorHandle given, std::initializer_list<AtenTensorHandle> thresholds) {
  if (!is_strided(given)) {
    return false;
  }
  const View x(given);
  int64_t dimension = kNone;
  for (AtenTensorHandle handle : thresholds) {
    if (handle == nullptr) {
      continue;
    }
    if (!is_strided(handle)) {
      return false;
    }
    const View threshold(handle);
    const int64_t own = find_channel_dimension(x, threshold);
    const bool fits = own != kNone && (dimension == kNone || dimension == own) &&
        threshold.numel <= kChannelsThatPay && is_like(threshold, x) && has_memory(threshold);
    if (!fits) {
      return false;
    }
    dimension = own;
  }
  return dimension != kNone && is_floating(x) && has_memory(x);
}

// Whether a gradient has the shape and the dtype of x, which suits.
inline bool suits_as_gradient(AtenTensorHandle given, AtenTensorHandle of) {
  if (!is_strided(given)) {
    return false;
  }
  const View g(given);
  const View x(of);
  return g.dtype == x.dtype && is_like(g, x) && g.dim == x.dim &&
      std::equal(g.sizes, g.sizes + g.dim, x.sizes) && has_memory(g);
}

}  // namespace actclip
