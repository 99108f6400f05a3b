// Tensors of LibTorch's, as the operations see them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "actclip/dtypes.h"
#include "torch/stable_abi.h"

namespace actclip {

// LibTorch's own words, where it is one that can still tell them.
inline std::string reason_of_libtorch() {
  const char* const words = torch_exception_get_what_without_backtrace == nullptr
      ? nullptr
      : torch_exception_get_what_without_backtrace();
  return words == nullptr ? "why is written to standard error" : words;
}

inline void check(AOTITorchError error, const char* what, const char* which = "") {
  if (error != 0) {
    throw std::runtime_error(
        std::string("LibTorch failed to ") + what + which + ": " + reason_of_libtorch());
  }
}

inline std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t size : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

// Of sizes: a tensor without elements may have some whose product no number holds.
inline int64_t product(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    throw std::runtime_error("a tensor of such a shape is too large");
  }
  return result;
}

inline bool is_defined(AtenTensorHandle tensor) {
  bool defined = false;
  check(aoti_torch_is_defined(tensor, &defined), "tell whether there is a tensor");
  return defined;
}

// Another's tensor, and what it is like. Valid as long as that tensor is.
struct View {
  AtenTensorHandle handle = nullptr;
  int64_t numel = 0;
  int64_t dim = 0;
  const int64_t* sizes = nullptr;
  const int64_t* strides = nullptr;
  int32_t dtype = 0;
  int32_t device_type = 0;
  int32_t device_index = 0;

  explicit View(AtenTensorHandle tensor) : handle(tensor) {
    if (tensor == nullptr) {
      return;
    }
    if (!is_defined(tensor)) {
      throw std::runtime_error("a tensor is undefined");
    }
    int64_t* numbers = nullptr;
    check(aoti_torch_get_numel(handle, &numel), "tell a tensor's number of elements");
    check(aoti_torch_get_dim(handle, &dim), "tell a tensor's number of dimensions");
    check(aoti_torch_get_sizes(handle, &numbers), "tell a tensor's sizes");
    sizes = numbers;
    check(aoti_torch_get_strides(handle, &numbers), "tell a tensor's strides");
    strides = numbers;
    check(aoti_torch_get_dtype(handle, &dtype), "tell a tensor's dtype");
    check(aoti_torch_get_device_type(handle, &device_type), "tell a tensor's device");
    check(aoti_torch_get_device_index(handle, &device_index), "tell a tensor's device");
  }

  explicit operator bool() const { return handle != nullptr; }

  void* data() const {
    void* pointer = nullptr;
    check(aoti_torch_get_data_ptr(handle, &pointer), "tell where a tensor's data are");
    if (pointer == nullptr && numel > 0) {
      throw std::runtime_error("a tensor has no memory: it may be on meta, or a ZeroTensor");
    }
    return pointer;
  }

  std::vector<int64_t> shape() const { return {sizes, sizes + dim}; }

  bool has_shape(const std::vector<int64_t>& other) const { return shape() == other; }
};

// In bytes.
inline int64_t element_size(const View& x) {
  return static_cast<int64_t>(aoti_torch_dtype_element_size(x.dtype));
}

// Of a tensor of one of them.
inline Dtype dtype_of(const View& x) {
  if (x.dtype == aoti_torch_dtype_float32()) {
    return Dtype::kFloat32;
  }
  if (x.dtype == aoti_torch_dtype_float64()) {
    return Dtype::kFloat64;
  }
  return x.dtype == aoti_torch_dtype_bfloat16() ? Dtype::kBFloat16 : Dtype::kFloat16;
}

// Calls `task` with one value of the C++ type that a dtype stands for.
template <typename Task>
auto with_type(Dtype dtype, const Task& task) {
  switch (dtype) {
    case Dtype::kFloat32:
      return task(float{});
    case Dtype::kFloat64:
      return task(double{});
    case Dtype::kBFloat16:
      return task(BFloat16{});
    default:
      return task(Half{});
  }
}

// A tensor of our own.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(AtenTensorHandle owned) : handle_(owned) {}
  Tensor(Tensor&& other) noexcept : handle_(other.release()) {}
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Tensor() {
    if (handle_ != nullptr) {
      aoti_torch_delete_tensor_object(handle_);
    }
  }

  AtenTensorHandle get() const { return handle_; }
  AtenTensorHandle release() { return std::exchange(handle_, nullptr); }

 private:
  AtenTensorHandle handle_ = nullptr;
};

// Our own reference to another's tensor.
inline Tensor shared(AtenTensorHandle tensor) {
  AtenTensorHandle made = nullptr;
  check(aoti_torch_new_tensor_handle(tensor, &made), "refer to a tensor");
  return Tensor(made);
}

// A tensor that a caller brings for a result: the first one of its kind that is made while this
// lives, on this thread, is it. Undefined ones are no offer.
class Offer {
 public:
  explicit Offer(AtenTensorHandle tensor) {
    offered() = is_defined(tensor) ? tensor : nullptr;
  }
  ~Offer() { offered() = nullptr; }
  Offer(const Offer&) = delete;
  Offer& operator=(const Offer&) = delete;

  // Empty when there is none.
  static Tensor take(
      const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, int32_t dtype) {
    const View view(offered());
    if (!view || view.dtype != dtype || !view.has_shape(sizes) ||
        !std::equal(strides.begin(), strides.end(), view.strides)) {
      return Tensor();
    }
    return shared(std::exchange(offered(), nullptr));
  }

 private:
  static AtenTensorHandle& offered() {
    thread_local AtenTensorHandle tensor = nullptr;
    return tensor;
  }
};

// Uninitialised, on the device of `like`.
inline Tensor empty(
    const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, int32_t dtype,
    const View& like) {
  Tensor offered = Offer::take(sizes, strides, dtype);
  if (offered.get() != nullptr) {
    return offered;
  }
  AtenTensorHandle made = nullptr;
  const AOTITorchError error = aoti_torch_empty_strided(
      static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(), dtype, like.device_type,
      like.device_index, &made);
  if (error != 0) {
    check(error, "allocate a tensor of the shape ", to_string(sizes).c_str());
  }
  return Tensor(made);
}

inline std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride = product(stride, sizes[i] > 0 ? sizes[i] : 1);
  }
  return strides;
}

inline Tensor empty_contiguous(
    const std::vector<int64_t>& sizes, int32_t dtype, const View& like) {
  return empty(sizes, contiguous_strides(sizes), dtype, like);
}

}  // namespace actclip
