#include "torch/small.h"

#include <initializer_list>

#include "torch/suitable.h"

namespace actclip {
namespace {

bool suits(const View& x, const View& t, int64_t limit) {
  return x.numel < limit && x.dtype == t.dtype && x.device_type == t.device_type &&
      x.device_index == t.device_index &&
      (x.dtype == aoti_torch_dtype_float32() || x.dtype == aoti_torch_dtype_float64()) &&
      t.dim <= x.dim && find_channel_dimension(x, t) != kNone;
}

Tensor call(
    const char* name, const char* overload, std::initializer_list<AtenTensorHandle> tensors) {
  StableIValue stack[3] = {};
  size_t size = 0;
  for (AtenTensorHandle tensor : tensors) {
    AtenTensorHandle taken = nullptr;  // The dispatcher deletes the handles that it is given.
    check(aoti_torch_new_tensor_handle(tensor, &taken), "refer to a tensor");
    stack[size++] = static_cast<StableIValue>(reinterpret_cast<uintptr_t>(taken));
  }
  check(aoti_torch_call_dispatcher(name, overload, stack), "run an operation of its own");
  return Tensor(reinterpret_cast<AtenTensorHandle>(static_cast<uintptr_t>(stack[0])));
}

}  // namespace

Tensor clip_small(AtenTensorHandle x, AtenTensorHandle t, bool relu, int64_t limit) {
  if (!is_strided(x) || !is_strided(t) || !suits(View(x), View(t), limit)) {
    return Tensor();
  }
  Tensor rectified;
  if (relu) {
    rectified = call("aten::relu", "", {x});
  }
  AtenTensorHandle r = relu ? rectified.get() : x;
  const Tensor above = call("aten::gt", "Tensor", {r, t});
  return call("aten::where", "self", {above.get(), t, r});
}

}  // namespace actclip
