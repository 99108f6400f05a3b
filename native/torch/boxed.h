// The operations as kernels of LibTorch's dispatcher.
#pragma once

#include <array>
#include <memory>

#include "torch/dispatcher.h"
#include "torch/ops.h"

namespace actclip {

// What a kernel is called with. Takes all tensors over at once, so that none is lost when one of
// them does not suit; and refuses those with a gradient to record, since nothing here does, and
// autograd would go on without it.
class Arguments {
 public:
  // `kinds` has a letter for each argument: t(ensor), o(ptional tensor), n(umber).
  Arguments(StableIValue* stack, const char* kinds) : stack_(stack) {
    for (size_t i = 0; kinds[i] != 0; ++i) {
      if (kinds[i] == 't') {
        owned_[i] = Tensor(handle_of(stack[i]));
      } else if (kinds[i] == 'o' && stack[i] != 0) {
        owned_[i] = Tensor(take(reinterpret_cast<StableIValue*>(stack[i])));
      }
    }
    for (size_t i = 0; i < kMost; ++i) {
      if (owned_[i].get() != nullptr && is_recorded(owned_[i].get())) {
        throw std::runtime_error(
            "argument " + std::to_string(i + 1) + " requires a gradient, and actclip's operations"
            " record none: call them with gradients disabled, or what does record, in Java"
            " ClipFunctions");
      }
    }
  }

  View tensor(size_t i) const { return View(owned_[i].get()); }
  int64_t number(size_t i) const { return static_cast<int64_t>(stack_[i]); }
  bool flag(size_t i) const { return flag_of(stack_[i]); }

 private:
  static constexpr size_t kMost = 7;

  // A LibTorch that has no function to free such a value expects us to do it.
  static AtenTensorHandle take(StableIValue* optional) {
    AtenTensorHandle const taken = handle_of(*optional);
    if (torch_delete_stable_ivalue == nullptr) {
      delete optional;
    } else {
      torch_delete_stable_ivalue(optional);  // fails for null only
    }
    return taken;
  }

  StableIValue* stack_;
  std::array<Tensor, kMost> owned_;
};

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
    stack[0] = value_of(Device::clip(a.tensor(0), limits));
  }

  // A lower threshold that is not there has a gradient without elements.
  static void clip_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttoon");
    const Limits limits{a.tensor(2), a.tensor(3), a.tensor(4), a.flag(5)};
    ClipGradients gradients = Device::clip_backward(a.tensor(0), a.tensor(1), limits);
    if (!limits.lo) {
      gradients.lo = empty_contiguous({0}, limits.hi.dtype, limits.hi);
    }
    stack[0] = value_of(std::move(gradients.x));
    stack[1] = value_of(std::move(gradients.hi));
    stack[2] = value_of(std::move(gradients.lo));
  }

  static void clip_statistics(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttton");
    const Limits limits{a.tensor(2), a.tensor(3), View(nullptr), a.flag(4)};
    stack[0] = value_of(Device::clip_statistics(a.tensor(0), a.tensor(1), limits));
  }

  static void max_pool_clip(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttn");
    Pooled pooled = Device::max_pool_clip(a.tensor(0), a.tensor(1), a.flag(2));
    stack[0] = value_of(std::move(pooled.y));
    stack[1] = value_of(std::move(pooled.codes));
  }

  static void max_pool_clip_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttnnn");
    PoolGradients gradients = Device::max_pool_clip_backward(
        a.tensor(0), a.tensor(1), a.tensor(2), {a.number(3), a.number(4), a.flag(5)});
    stack[0] = value_of(std::move(gradients.x));
    stack[1] = value_of(std::move(gradients.t));
  }

  static void fake_quantize(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "tttnn");
    stack[0] = value_of(Device::fake_quantize(
        a.tensor(0), {a.tensor(1), a.tensor(2), a.number(3), a.number(4)}));
  }

  static void fake_quantize_backward(StableIValue* stack, uint64_t, uint64_t) {
    const Arguments a(stack, "ttttnnn");
    QuantizerGradients gradients = Device::fake_quantize_backward(
        a.tensor(0), a.tensor(1), {a.tensor(2), a.tensor(3), a.number(4), a.number(5)},
        scale_gradient_of(a.number(6)));
    stack[0] = value_of(std::move(gradients.x));
    stack[1] = value_of(std::move(gradients.scale));
    stack[2] = value_of(std::move(gradients.offset));
  }
};

// Why the operations of the CPU could not be defined when the library was loaded, or nothing.
const std::string& registration_error();

// What is registered in one go: it is taken back unless it is kept, which it is for good, since
// LibTorch may end first.
class Registration {
 public:
  explicit Registration(TorchLibraryHandle library)
      : library_(library, aoti_torch_delete_library_object) {}

  TorchLibraryHandle get() const { return library_.get(); }
  void keep() { static_cast<void>(library_.release()); }

 private:
  std::unique_ptr<TorchLibraryOpaque, AOTITorchError (*)(TorchLibraryHandle)> library_;
};

// Where LibTorch is told that operations come from: the compiler's own word for it would name the
// folder that they were built in, and the same sources are to give the same bytes in each.
constexpr const char* kSource = "actclip";

// Registers the operations for one of the dispatcher's keys, such as "CPU".
template <typename Device>
void register_kernels(const char* key) {
  TorchLibraryHandle made = nullptr;
  check(
      aoti_torch_library_init_impl("actclip", key, kSource, __LINE__, &made),
      "register kernels for ", key);
  Registration library(made);
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
    check(torch_library_impl(library.get(), name, kernel, kBuiltFor), "register ", name);
  }
  library.keep();
}

// Registers when a library is loaded, from where an exception would end the process; says what
// failed, or nothing.
template <typename Task>
std::string error_of(const Task& task) {
  try {
    task();
    return std::string();
  } catch (const std::exception& e) {
    return e.what();
  }
}

}  // namespace actclip
