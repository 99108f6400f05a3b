#include "torch/in_place.h"

#include "torch/blocks.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

using cpu::Operation;
using cpu::Variant;

Plan plan_of(const View& x, const Limit& limit) {
  return Plan(geometry(x, {&limit.first, &limit.second}));
}

void require_fates(const View& fates) {
  int32_t layout = 0;
  check(aoti_torch_get_layout(fates.handle, &layout), "tell a tensor's layout");
  const bool right = layout == aoti_torch_layout_strided() &&
      fates.dtype == aoti_torch_dtype_uint8() && fates.device_type == aoti_torch_device_type_cpu() &&
      is_dense(fates);
  if (!right) {
    throw std::runtime_error("what became of the activations must be as forward gave it");
  }
}

}  // namespace

bool suit_in_place(AtenTensorHandle x, AtenTensorHandle first, AtenTensorHandle second) {
  return first != nullptr && suit_kernels(x, {first, second}) &&
      View(x).device_type == aoti_torch_device_type_cpu() && is_dense(View(x));
}

Tensor limit_in_place(const View& x, const Limit& limit, bool recorded) {
  const Plan plan = plan_of(x, limit);
  Tensor fates;
  uint8_t* memory = nullptr;
  if (recorded) {
    fates = empty(x.shape(), Laid::strides_of(x), aoti_torch_dtype_uint8(), x);
    memory = static_cast<uint8_t*>(data_of_new(fates));
  }
  const Operation operation =
      limit.high == 0 ? Operation::kReluClip : Operation::kReluFakeQuantize;
  with_limit(plan, dtype_of(x), limit, [&](const auto& fill) {
    run(plan, dtype_of(x), Variant{operation}, 0, {nullptr, nullptr, bytes_of(x), memory}, fill);
  });
  return fates;
}

InPlaceGradients limit_in_place_backward(
    const View& given, const View& fates, const Limit& limit) {
  require_fates(fates);
  require_floating(given, "the gradient");
  const Plan plan = plan_of(fates, limit);
  const Laid g = laid_like(given, fates, given.dtype);
  InPlaceGradients gradients;
  gradients.x = empty(fates.shape(), Laid::strides_of(fates), given.dtype, given);
  const Operation operation =
      limit.high == 0 ? Operation::kReluClipBackward : Operation::kReluFakeQuantizeBackward;
  const std::vector<double> sums =
      with_limit(plan, dtype_of(given), limit, [&](const auto& fill) {
        return run(
            plan, dtype_of(given), Variant{operation}, 1,
            {bytes_of(g.view), nullptr, bytes_of_new(gradients.x),
             static_cast<uint8_t*>(fates.data())},
            fill);
      });
  gradients.limit = gradient_of(limit.first, sums.data(), plan.geometry.channels, 1);
  return gradients;
}

}  // namespace actclip
