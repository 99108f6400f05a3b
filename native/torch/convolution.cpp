#include "torch/convolution.h"

#include <limits>

#include "torch/convolution_cpu.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

constexpr int64_t kAny = -1;

bool is_plain(AtenTensorHandle tensor, int64_t dim) {
  return is_float_on_cpu(tensor) && (dim == kAny || View(tensor).dim == dim);
}

bool suit(AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle t) {
  if (!is_plain(x, 4) || !is_plain(weight, 4)) {
    return false;
  }
  const View images(x);
  const View kernels(weight);
  const auto leaves_two = [&](int i) {
    return kernels.sizes[i] > 0 && images.sizes[i] > kernels.sizes[i];
  };
  const bool has_channels = kernels.sizes[0] > 0 && kernels.sizes[1] > 0;
  return has_channels && kernels.sizes[1] == images.sizes[1] && leaves_two(2) && leaves_two(3) &&
      (t == nullptr || (is_plain(t, kAny) && is_pool_threshold(View(t), kernels.sizes[0])));
}

bool suits_as_bias(AtenTensorHandle bias, AtenTensorHandle weight) {
  return is_plain(bias, 1) && View(bias).numel == View(weight).sizes[0] &&
      has_strides(View(bias), {1});
}

// Above everything.
AtenTensorHandle no_threshold() {
  static const AtenTensorHandle infinity = [] {  // never deleted: LibTorch may end first
    const int64_t one = 1;
    AtenTensorHandle made = nullptr;
    check(
        aoti_torch_empty_strided(
            1, &one, &one, aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0, &made),
        "make a tensor");
    Tensor owned(made);
    *static_cast<float*>(View(made).data()) = std::numeric_limits<float>::infinity();
    return owned.release();
  }();
  return infinity;
}

Tensor convolve_by_libtorch(AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias) {
  const int64_t ones[] = {1, 1};
  const int64_t zeros[] = {0, 0};
  AtenTensorHandle y = nullptr;
  check(
      aoti_torch_cpu_convolution(x, weight, &bias, ones, 2, zeros, 2, ones, 2, 0, zeros, 2, 1, &y),
      "convolve");
  return Tensor(y);
}

// Of what suits.
bool is_for_kernel(const View& x, const View& weight, bool by_x) {
  const int64_t group = convolution_kernel().group;
  return group > 0 && weight.sizes[0] % group == 0 && weight.numel <= kMostWeights &&
      is_channels_last(x) && is_channels_last(weight) && !(by_x && x.sizes[1] % group != 0);
}

View or_none(AtenTensorHandle t) { return View(t == nullptr ? no_threshold() : t); }

}  // namespace

Pooled conv_max_pool_clip(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t,
    bool codes) {
  if (!suit(x, weight, t) || !suits_as_bias(bias, weight)) {
    return {};
  }
  if (is_for_kernel(View(x), View(weight), false)) {
    return convolve_pool_clip(View(x), View(weight), View(bias), or_none(t), codes);
  }
  const Tensor y = convolve_by_libtorch(x, weight, bias);
  return Cpu::max_pool_clip(View(y.get()), or_none(t), true);
}

bool suit_convolution(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle bias, AtenTensorHandle t,
    bool gradients, bool by_x) {
  return suit(x, weight, t) && suits_as_bias(bias, weight) &&
      (!gradients || is_for_kernel(View(x), View(weight), by_x));
}

ConvolutionGradients conv_max_pool_clip_backward(
    const View& g, const View& codes, AtenTensorHandle x, AtenTensorHandle weight,
    AtenTensorHandle t, bool by_x, bool by_weight) {
  if (!suit(x, weight, t) || !is_for_kernel(View(x), View(weight), by_x)) {
    throw std::runtime_error("the kernels do not convolve inputs and weights like these");
  }
  const PoolGeometry made = ConvolutionShape(View(x), View(weight)).convolved();
  require_floating(g, "the gradient");
  require_same_device(g, View(x));
  const PoolGeometry given = pool_geometry(g, codes, {made.height, made.width, true});
  if (g.dtype != View(x).dtype || given.batch != made.batch || given.channels != made.channels) {
    throw std::runtime_error(
        "the gradient must be float32 of the shape " + to_string(made.outputs()));
  }
  return convolve_pool_clip_backward(g, codes, View(x), View(weight), or_none(t), by_x, by_weight);
}

}  // namespace actclip
