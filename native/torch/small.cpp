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

}  // namespace

Tensor clip_small(AtenTensorHandle x, AtenTensorHandle t, bool relu, int64_t limit) {
  if (!is_strided(x) || !is_strided(t) || !suits(View(x), View(t), limit)) {
    return Tensor();
  }
  Tensor rectified;
  if (relu) {
    rectified = Tensor(handle_of(call("aten::relu", "", {x})));
  }
  AtenTensorHandle r = relu ? rectified.get() : x;
  const Tensor above(handle_of(call("aten::gt", "Tensor", {r, t})));
  return Tensor(handle_of(call("aten::where", "self", {above.get(), t, r})));
}

}  // namespace actclip
