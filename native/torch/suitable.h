// Whether arguments that nobody has checked suit the kernels, if there are some for their device.
// Never throws for those that do not.
#pragma once

#include "torch/geometry.h"

namespace actclip {

inline bool is_strided(AtenTensorHandle tensor) {
  bool defined = false;
  check(aoti_torch_is_defined(tensor, &defined), "tell whether there is a tensor");
  if (!defined) {
    return false;
  }
  int32_t layout = 0;
  check(aoti_torch_get_layout(tensor, &layout), "tell a tensor's layout");
  return layout == aoti_torch_layout_strided();
}

// The dimension along which a threshold differs, counted from 1 at the last; 0 when it has one
// element, -1 when it differs along several.
inline int64_t differs_along(const View& threshold) {
  int64_t found = 0;
  if (threshold.numel != 1) {
    for (int64_t i = 0; i < threshold.dim; ++i) {
      if (threshold.sizes[i] != 1) {
        if (found != 0) {
          return -1;
        }
        found = threshold.dim - i;
      }
    }
  }
  return found;
}

inline bool is_like(const View& tensor, const View& x) {
  return is_floating(tensor) && tensor.device_type == x.device_type &&
      tensor.device_index == x.device_index;
}

// For thresholds, one at least, that all have one element or differ along the same dimension of x.
inline bool suit_kernels(
    AtenTensorHandle given, std::initializer_list<AtenTensorHandle> thresholds) {
  if (!is_strided(given)) {
    return false;
  }
  const View x(given);
  int64_t dimension = -1;
  for (AtenTensorHandle handle : thresholds) {
    if (handle == nullptr) {
      continue;
    }
    if (!is_strided(handle)) {
      return false;
    }
    const View threshold(handle);
    const int64_t along = differs_along(threshold);
    const bool fits = along >= 0 && along <= x.dim && is_like(threshold, x) &&
        (along == 0 || x.sizes[x.dim - along] == threshold.numel) &&
        (dimension < 0 || dimension == along);
    if (!fits) {
      return false;
    }
    dimension = along;
  }
  return dimension >= 0 && is_floating(x);
}

// Whether a gradient has the shape and the dtype of x, which suits.
inline bool suits_as_gradient(AtenTensorHandle given, AtenTensorHandle of) {
  if (!is_strided(given)) {
    return false;
  }
  const View g(given);
  const View x(of);
  return g.dtype == x.dtype && is_like(g, x) && g.dim == x.dim &&
      std::equal(g.sizes, g.sizes + g.dim, x.sizes);
}

}  // namespace actclip
