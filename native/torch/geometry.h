// How parameters, one for all elements or one for each channel, lie along the memory of x.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <numeric>

#include "torch/tensor.h"

namespace actclip {

inline int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// More thresholds than any network has: their sums would take more memory than the activations.
constexpr int64_t kMostChannels = int64_t{1} << 20;

// Memory as (outer, channels, inner): inner elements of one channel stand together.
struct Geometry {
  int64_t outer = 0;
  int64_t channels = 1;
  int64_t inner = 1;
};

inline bool is_floating(const View& x) {
  return x.dtype == aoti_torch_dtype_float32() || x.dtype == aoti_torch_dtype_float64() ||
      x.dtype == aoti_torch_dtype_bfloat16() || x.dtype == aoti_torch_dtype_float16();
}

inline void require_floating(const View& x, const char* what) {
  if (!x) {
    throw std::runtime_error(std::string(what) + ": there is no tensor");
  }
  int32_t layout = 0;
  check(aoti_torch_get_layout(x.handle, &layout), "tell a tensor's layout");
  if (layout != aoti_torch_layout_strided() || !is_floating(x)) {
    throw std::runtime_error(
        std::string(what) + " must be a dense tensor of float64, float32, bfloat16 or float16");
  }
}

inline void require_same_device(const View& a, const View& b) {
  if (a.device_type != b.device_type || a.device_index != b.device_index) {
    throw std::runtime_error("the tensors are on different devices");
  }
}

inline void require_threshold(const View& x, const View& threshold) {
  require_floating(threshold, "a threshold");
  require_same_device(x, threshold);
}

// Without gaps or overlaps: some order of the dimensions is contiguous.
inline bool is_dense(const View& x) {
  if (x.numel == 0) {
    return true;
  }
  std::vector<int64_t> order(static_cast<size_t>(x.dim));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return x.strides[a] < x.strides[b];
  });
  int64_t stride = 1;
  for (int64_t i : order) {
    if (x.sizes[i] != 1) {
      if (x.strides[i] != stride) {
        return false;
      }
      stride *= x.sizes[i];
    }
  }
  return true;
}

inline std::vector<int64_t> channels_last_strides(const std::vector<int64_t>& sizes) {
  const int64_t row = product(sizes[1], sizes[3]);
  return {product(row, sizes[2]), 1, row, sizes[1]};
}

inline bool has_strides(const View& x, const std::vector<int64_t>& strides) {
  for (int64_t i = 0; i < x.dim; ++i) {
    if (x.sizes[i] != 1 && x.strides[i] != strides[static_cast<size_t>(i)]) {
      return false;
    }
  }
  return true;
}

// Those of memory without gaps whose dimensions have the order that they have in x.
inline std::vector<int64_t> dense_strides(const View& x) {
  std::vector<int64_t> order(static_cast<size_t>(x.dim));
  std::iota(order.begin(), order.end(), 0);
  const bool expanded = std::count(x.strides, x.strides + x.dim, 0) > 0;
  if (!expanded) {
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return x.strides[a] > x.strides[b];
    });
  }
  std::vector<int64_t> strides(order.size());
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    strides[static_cast<size_t>(order[i])] = stride;
    stride = product(stride, std::max<int64_t>(1, x.sizes[order[i]]));
  }
  return strides;
}

// A tensor in memory of a given layout and dtype: itself, or a copy.
class Laid {
 public:
  Laid(const View& tensor, const std::vector<int64_t>& strides, int32_t dtype) : view(tensor) {
    if (tensor.numel > 0 && (tensor.dtype != dtype || !has_strides(tensor, strides))) {
      copy_ = empty(tensor.shape(), strides, dtype, tensor);
      check(aoti_torch_copy_(copy_.get(), tensor.handle, 0), "copy a tensor");
      view = View(copy_.get());
    }
  }

  // Dense in whatever order.
  explicit Laid(const View& x)
      : Laid(x, is_dense(x) ? strides_of(x) : dense_strides(x), x.dtype) {}

  static std::vector<int64_t> strides_of(const View& x) { return {x.strides, x.strides + x.dim}; }

  std::vector<int64_t> strides() const { return strides_of(view); }

  View view;

 private:
  Tensor copy_;
};

// g in the layout of x, and of a dtype.
inline Laid laid_like(const View& g, const View& x, int32_t dtype) {
  require_floating(g, "the gradient");
  require_same_device(x, g);
  if (!g.has_shape(x.shape())) {
    throw std::runtime_error(
        "the gradient has the shape " + to_string(g.shape()) + ": it must be " +
        to_string(x.shape()));
  }
  return Laid(g, Laid::strides_of(x), dtype);
}

// And in its dtype.
inline Laid laid_like(const View& g, const View& x) { return laid_like(g, x, x.dtype); }

constexpr int64_t kShared = -1;
constexpr int64_t kNone = -2;

// The dimension of x, counted from 0, along which a parameter differs: kShared when it has one
// element, kNone when it differs along several or does not broadcast to x.
inline int64_t find_channel_dimension(const View& x, const View& parameter) {
  int64_t found = kShared;
  if (parameter.numel == 1) {
    return found;
  }
  const int64_t missing = x.dim - parameter.dim;
  for (int64_t i = 0; i < parameter.dim; ++i) {
    if (parameter.sizes[i] != 1) {
      if (found != kShared || missing < 0 || x.sizes[missing + i] != parameter.sizes[i]) {
        return kNone;
      }
      found = missing + i;
    }
  }
  return found;
}

inline int64_t channel_dimension(const View& x, const View& parameter) {
  const int64_t found = find_channel_dimension(x, parameter);
  if (found == kNone) {
    throw std::runtime_error(
        "a threshold has the shape " + to_string(parameter.shape()) + ", and the activations " +
        to_string(x.shape()) + ": it must have one element, or differ along one dimension of theirs");
  }
  return found;
}

// Of a dense x and all its parameters.
inline Geometry geometry(const View& x, std::initializer_list<const View*> parameters) {
  int64_t dimension = kShared;
  for (const View* parameter : parameters) {
    if (!*parameter) {
      continue;
    }
    require_threshold(x, *parameter);
    const int64_t own = channel_dimension(x, *parameter);
    if (own != kShared && dimension != kShared && own != dimension) {
      throw std::runtime_error("the thresholds differ along different dimensions");
    }
    dimension = std::max(dimension, own);
  }
  if (dimension == kShared) {
    return {x.numel, 1, 1};
  }
  const int64_t channels = x.sizes[dimension];
  if (channels > kMostChannels) {
    throw std::runtime_error(
        std::to_string(channels) + " thresholds: there may be " + std::to_string(kMostChannels));
  }
  if (x.numel == 0) {
    return {0, channels, 1};
  }
  // A dimension of one element may have any stride.
  const int64_t inner = channels == 1 ? 1 : x.strides[dimension];
  return {x.numel / channels / inner, channels, inner};
}

// How far a parameter's channels are apart in its memory: 0 when all share its one element.
inline int64_t channel_stride(const View& parameter) {
  for (int64_t i = 0; i < parameter.dim; ++i) {
    if (parameter.sizes[i] != 1) {
      return parameter.strides[i];
    }
  }
  return 0;
}

}  // namespace actclip
