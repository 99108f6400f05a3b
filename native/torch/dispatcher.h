// LibTorch's own operations, called by name.
#pragma once

#include <initializer_list>

#include "torch/tensor.h"

namespace actclip {

inline AtenTensorHandle handle_of(StableIValue value) {
  return reinterpret_cast<AtenTensorHandle>(static_cast<uintptr_t>(value));
}

inline bool flag_of(StableIValue value) { return (value & 0xffu) != 0; }

// Hands a tensor over.
inline StableIValue value_of(Tensor tensor) {
  return static_cast<StableIValue>(reinterpret_cast<uintptr_t>(tensor.release()));
}

// The only result of an operation on up to three tensors; of one without results, nothing of use.
inline StableIValue call(
    const char* name, const char* overload, std::initializer_list<AtenTensorHandle> tensors) {
  constexpr size_t kMost = 3;
  Tensor owned[kMost];  // until there are all: what cannot be called has to leave none behind
  size_t size = 0;
  for (AtenTensorHandle tensor : tensors) {
    owned[size++] = shared(tensor);
  }
  StableIValue stack[kMost] = {};
  for (size_t i = 0; i < size; ++i) {
    stack[i] = value_of(std::move(owned[i]));
  }
  check(torch_call_dispatcher(name, overload, stack, kBuiltFor), "run ", name);
  return stack[0];
}

// Whether autograd records what is done with a tensor: a view of it is then no leaf of the graph. The
// stable ABI has no other way to ask.
inline bool is_recorded(AtenTensorHandle tensor) {
  if (!aoti_torch_grad_mode_is_enabled() || !is_defined(tensor)) {
    return false;
  }
  const Tensor view(handle_of(call("aten::alias", "", {tensor})));
  return !flag_of(call("aten::is_leaf", "", {view.get()}));
}

}  // namespace actclip
