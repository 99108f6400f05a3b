// The operations as kernels of LibTorch's dispatcher.
#pragma once

#include <memory>

#include "torch/ops.h"

namespace actclip {

// What a kernel is called with. Takes all tensors over at once, so that none is lost when one of
// them does not suit.
class Arguments {
 public:
  // `kinds` has a letter for each argument: t(ensor), o(ptional tensor), n(umber).
  Arguments(StableIValue* stack, const char* kinds) : stack_(stack) {
    for (size_t i = 0; kinds[i] != 0; ++i) {
      owned_.emplace_back();
      if (kinds[i] == 't') {
        owned_[i] = Tensor(handle(stack[i]));
      } else if (kinds[i] == 'o' && stack[i] != 0) {
        const std::unique_ptr<StableIValue> inner(reinterpret_cast<StableIValue*>(stack[i]));
        owned_[i] = Tensor(handle(*inner));
      }
    }
  }

  View tensor(size_t i) const { return View(owned_[i].get()); }
  int64_t number(size_t i) const { return static_cast<int64_t>(stack_[i]); }
  bool flag(size_t i) const { return (stack_[i] & 0xffu) != 0; }

 private:
  static AtenTensorHandle handle(StableIValue value) {
    return reinterpret_cast<AtenTensorHandle>(static_cast<uintptr_t>(value));
  }

  StableIValue* stack_;
  std::vector<Tensor> owned_;
};

inline StableIValue result(Tensor tensor) {
  return static_cast<StableIValue>(reinterpret_cast<uintptr_t>(tensor.release()));
}

inline ScaleGradient scale_gradient_of(int64_t number) {
  if (number < 0 || number > 2) {
    throw std::runtime_error(
        "the scale's gradient is " + std::to_string(number) + ": it must be 0, 1 or 2");
  }
  return static_cast<ScaleGradient>(number);
}

template <typename Device>
struct Boxed {
  static void clip(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttoon");
    const Limits limits{a.tensor(1), a.tensor(2), a.tensor(3), a.flag(4)};
    stack[0] = result(Device::clip(a.tensor(0), limits));
  }

  // A lower threshold that is not there has a gradient without elements.
  static void clip_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttoon");
    const Limits limits{a.tensor(2), a.tensor(3), a.tensor(4), a.flag(5)};
    ClipGradients gradients = Device::clip_backward(a.tensor(0), a.tensor(1), limits);
    if (!limits.lo) {
      gradients.lo = empty_contiguous({0}, limits.hi.dtype, limits.hi);
    }
    stack[0] = result(std::move(gradients.x));
    stack[1] = result(std::move(gradients.hi));
    stack[2] = result(std::move(gradients.lo));
  }

  static void clip_statistics(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttton");
    const Limits limits{a.tensor(2), a.tensor(3), View(nullptr), a.flag(4)};
    stack[0] = result(Device::clip_statistics(a.tensor(0), a.tensor(1), limits));
  }

  static void max_pool_clip(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttn");
    Pooled pooled = Device::max_pool_clip(a.tensor(0), a.tensor(1), a.flag(2));
    stack[0] = result(std::move(pooled.y));
    stack[1] = result(std::move(pooled.codes));
  }

  static void max_pool_clip_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttnnn");
    PoolGradients gradients = Device::max_pool_clip_backward(
        a.tensor(0), a.tensor(1), a.tensor(2), {a.number(3), a.number(4), a.flag(5)});
    stack[0] = result(std::move(gradients.x));
    stack[1] = result(std::move(gradients.t));
  }

  static void fake_quantize(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttnn");
    stack[0] = result(Device::fake_quantize(
        a.tensor(0), {a.tensor(1), a.tensor(2), a.number(3), a.number(4)}));
  }

  static void fake_quantize_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttttnnn");
    QuantizerGradients gradients = Device::fake_quantize_backward(
        a.tensor(0), a.tensor(1), {a.tensor(2), a.tensor(3), a.number(4), a.number(5)},
        scale_gradient_of(a.number(6)));
    stack[0] = result(std::move(gradients.x));
    stack[1] = result(std::move(gradients.scale));
    stack[2] = result(std::move(gradients.offset));
  }
};

// Why the operations of the CPU could not be defined when the library was loaded, or nothing.
const std::string& registration_error();

// Registers the operations for one of the dispatcher's keys, such as "CPU".
template <typename Device>
void register_kernels(const char* key) {
  TorchLibraryHandle library = nullptr;
  check(
      aoti_torch_library_init_impl("actclip", key, __FILE__, __LINE__, &library),
      "register kernels");
  const std::pair<const char*, BoxedKernel> kernels[] = {
      {"clip", Boxed<Device>::clip},
      {"clip_backward", Boxed<Device>::clip_backward},
      {"clip_statistics", Boxed<Device>::clip_statistics},
      {"max_pool_clip", Boxed<Device>::max_pool_clip},
      {"max_pool_clip_backward", Boxed<Device>::max_pool_clip_backward},
      {"fake_quantize", Boxed<Device>::fake_quantize},
      {"fake_quantize_backward", Boxed<Device>::fake_quantize_backward},
  };
  for (const auto& [name, kernel] : kernels) {
    check(aoti_torch_library_impl(library, name, kernel), "register a kernel");
  }
}

}  // namespace actclip
