#include "torch/small.h"

#include "torch/dispatcher.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

bool suits(const View& x, const View& t, int64_t limit) {
  return x.numel < limit && x.dtype == t.dtype && x.device_type == t.device_type &&
      x.device_index == t.device_index &&
      (x.dtype == aoti_torch_dtype_float32() || x.dtype == aoti_torch_dtype_float64()) &&
      t.dim <= x.dim && find_channel_dimension(x, t) != kNone;
}

Tensor result_of(
    const char* name, const char* overload, std::initializer_list<AtenTensorHandle> tensors) {
  return Tensor(handle_of(call(name, overload, tensors)));
}

// The mask with the version of x, as ClipOp.withVersionOf: the kernels read x again in backward,
// and refuse what was changed in place, and so does LibTorch then.
Tensor mask_for(AtenTensorHandle x, Tensor mask) {
  if (!aoti_torch_grad_mode_is_enabled()) {
    return mask;
  }
  Tensor watched = result_of("aten::detach", "", {x});  // shares the version
  call("aten::set_data", "", {watched.get(), mask.get()});
  return watched;
}

}  // namespace

Tensor clip_small(AtenTensorHandle x, AtenTensorHandle t, bool relu, int64_t limit) {
  if (!is_strided(x) || !is_strided(t) || !suits(View(x), View(t), limit)) {
    return Tensor();
  }
  Tensor rectified;
  if (relu) {
    rectified = result_of("aten::relu", "", {x});
  }
  AtenTensorHandle r = relu ? rectified.get() : x;
  const Tensor above = mask_for(x, result_of("aten::gt", "Tensor", {r, t}));
  return result_of("aten::where", "self", {above.get(), t, r});
}

}  // namespace actclip
