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

// For kernels of float32 in the CPU's memory.

inline bool is_float_on_cpu(AtenTensorHandle tensor) {
  if (!is_strided(tensor)) {
    return false;
  }
  const View view(tensor);
  return view.dtype == aoti_torch_dtype_float32() &&
      view.device_type == aoti_torch_device_type_cpu() && has_memory(view);
}

inline bool is_channels_last(const View& x) {
  return x.dim == 4 && has_strides(x, channels_last_strides(x.shape()));
}

// Whether each is a vector of so many numbers.
inline bool are_of_channels(std::initializer_list<AtenTensorHandle> vectors, int64_t channels) {
  return std::all_of(vectors.begin(), vectors.end(), [&](AtenTensorHandle vector) {
    return is_float_on_cpu(vector) && View(vector).numel == channels && View(vector).dim == 1 &&
        has_strides(View(vector), {1});
  });
}

// Whether it is none, or channels-last of that shape.
inline bool suits_as_addend(AtenTensorHandle addend, const std::vector<int64_t>& shape) {
  return addend == nullptr ||
      (is_float_on_cpu(addend) && is_channels_last(View(addend)) && View(addend).has_shape(shape));
}

}  // namespace actclip
