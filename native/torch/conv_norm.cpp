#include "torch/conv_norm.h"

#include "torch/convolution_cpu.h"
#include "torch/normalization.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

struct Shape {
  int64_t images;
  int64_t inputs;  // channels
  int64_t height;
  int64_t width;
  int64_t outputs;  // channels
  int64_t kernel_height;
  int64_t kernel_width;
  Window window;

  Shape(const View& x, const View& weight, const Window& w)
      : images(x.sizes[0]), inputs(x.sizes[1]), height(x.sizes[2]), width(x.sizes[3]),
        outputs(weight.sizes[0]), kernel_height(weight.sizes[2]), kernel_width(weight.sizes[3]),
        window(w) {}

  int64_t padded_row() const { return (width + 2 * window.padding) * inputs; }
  int64_t taps() const { return kernel_width * inputs; }  // in a row of the kernel
  int64_t all_taps() const { return kernel_height * taps(); }
  int64_t rows() const { return places(height, kernel_height); }
  int64_t columns() const { return places(width, kernel_width); }
  int64_t row() const { return columns() * outputs; }
  std::vector<int64_t> made() const { return {images, outputs, rows(), columns()}; }

 private:
  int64_t places(int64_t size, int64_t kernel) const {
    const int64_t free = size + 2 * window.padding - kernel;
    return free < 0 ? 0 : free / window.stride + 1;
  }
};

// Weights as contractions take them: by group of outputs, tap and output. The last group may be half.
Numbers packed(const Shape& shape, const float* weight) {
  const cpu::Convolution& kernel = convolution_kernel();
  const int64_t taps = shape.all_taps();
  const int64_t groups = ceil_divide(shape.outputs, kernel.group);
  Numbers all = numbers(groups * kernel.group * taps);
  const int64_t whole = shape.outputs / kernel.group * kernel.group;
  for (int64_t first = 0; first < whole; first += kernel.group) {
    kernel.pack(weight + first * taps, taps, &all[first * taps]);
  }
  if (whole < shape.outputs) {
    const Numbers half = numbers(kernel.group * taps);
    std::fill_n(half.get(), kernel.group * taps, 0.0f);
    std::copy_n(weight + whole * taps, (shape.outputs - whole) * taps, half.get());
    kernel.pack(half.get(), taps, &all[whole * taps]);
  }
  return all;
}

// A thread's share.
class Share {
 public:
  Share(const Shape& shape, const float* x, const float* weights, float* y)
      : shape_(shape), kernel_(convolution_kernel()), x_(x), weights_(weights), y_(y),
        rows_at_once_(std::max<int64_t>(1, kCachedSums / std::max<int64_t>(1, shape.row()))),
        padded_(numbers(padded_rows(rows_at_once_) * shape.padded_row())) {}

  // Units are rows of outputs; `finish` takes some that were convolved, from the first one on.
  template <typename Finish>
  void run(int64_t begin, int64_t end, const Finish& finish) {
    while (begin < end) {
      const int64_t row = begin % shape_.rows();
      const int64_t count = std::min({shape_.rows() - row, end - begin, rows_at_once_});
      pad(begin / shape_.rows(), row, count);
      convolve(y_ + begin * shape_.row(), count);
      finish(begin, count);
      begin += count;
    }
  }

 private:
  int64_t padded_rows(int64_t count) const {
    return (count - 1) * shape_.window.stride + shape_.kernel_height;
  }

  void pad(int64_t image, int64_t row, int64_t count) {
    const int64_t side = shape_.window.padding * shape_.inputs;
    const int64_t inner = shape_.width * shape_.inputs;
    float* to = padded_.get();
    const int64_t first = row * shape_.window.stride - shape_.window.padding;
    for (int64_t i = first; i < first + padded_rows(count); ++i, to += shape_.padded_row()) {
      if (i < 0 || i >= shape_.height) {
        std::fill_n(to, shape_.padded_row(), 0.0f);
        continue;
      }
      std::fill_n(to, side, 0.0f);
      std::copy_n(x_ + (image * shape_.height + i) * inner, inner, to + side);
      std::fill_n(to + side + inner, side, 0.0f);
    }
  }

  // Some rows of the kernel for all rows of outputs, then the next ones.
  void convolve(float* y, int64_t count) const {
    std::fill_n(y, count * shape_.row(), 0.0f);
    const int64_t of_row = shape_.taps() * kernel_.group;
    const int64_t at_once = std::max<int64_t>(1, kCachedWeights / std::max<int64_t>(1, of_row));
    for (int64_t first = 0; first < shape_.outputs; first += kernel_.group) {
      const bool whole = shape_.outputs - first >= kernel_.group;
      const auto contract = whole ? kernel_.contract : kernel_.contract_half;
      for (int64_t k = 0; k < shape_.kernel_height; k += at_once) {
        for (int64_t i = 0; i < count; ++i) {
          contract(
              {std::min(at_once, shape_.kernel_height - k), shape_.taps(), shape_.columns(),
               &padded_[(i * shape_.window.stride + k) * shape_.padded_row()],
               shape_.padded_row(), 1, shape_.window.stride * shape_.inputs,
               weights_ + first * shape_.all_taps() + k * of_row, of_row, kernel_.group,
               y + i * shape_.row() + first, shape_.outputs});
        }
      }
    }
  }

  const Shape shape_;
  const cpu::Convolution kernel_;
  const float* const x_;
  const float* const weights_;
  float* const y_;
  const int64_t rows_at_once_;
  const Numbers padded_;  // the inputs of some rows of outputs
};

}  // namespace

bool suit_conv_norm(
    AtenTensorHandle given, AtenTensorHandle weight, const Window& window, AtenTensorHandle addend,
    std::initializer_list<AtenTensorHandle> of_channels, AtenTensorHandle t) {
  const int64_t half = convolution_kernel().group / 2;
  if (half == 0 || !is_float_on_cpu(given) || !is_float_on_cpu(weight)) {
    return false;
  }
  const View x(given);
  const View kernels(weight);
  if (!is_channels_last(x) || !is_channels_last(kernels) || kernels.sizes[1] != x.sizes[1] ||
      kernels.numel == 0 || kernels.numel > kMostWeights || kernels.sizes[0] % half != 0 ||
      window.stride < 1 || window.padding < 0 || window.padding >= kernels.sizes[2] ||
      window.padding >= kernels.sizes[3]) {
    return false;
  }
  const Shape shape(x, kernels, window);
  return shape.rows() > 0 && shape.columns() > 0 && is_float_on_cpu(t) &&
      is_pool_threshold(View(t), shape.outputs) && are_of_channels(of_channels, shape.outputs) &&
      suits_as_addend(addend, shape.made());
}

Tensor conv_norm_clip(
    const View& x, const View& weight, const Window& window, const View& addend, const Norm& norm,
    const View& t) {
  const Shape shape(x, weight, window);
  Tensor made = empty(shape.made(), channels_last_strides(shape.made()), x.dtype, x);
  float* y = static_cast<float*>(data_of_new(made));
  const int64_t units = shape.images * shape.rows();
  const Plan plan({units * shape.columns(), shape.outputs, 1});
  const Scaling scaling(plan, norm, statistics_of(running_of(norm), norm.eps));
  const cpu::Kernel clip = kernels().find(Dtype::kFloat32, cpu::Variant{cpu::Operation::kNormClip});
  const Numbers weights = packed(shape, floats(weight));
  const float* added = addend ? floats(addend) : nullptr;
  with_limit(plan, Dtype::kFloat32, Limit{t, View(nullptr), 0}, [&](const auto& fill) {
    const auto finish = [&](int64_t first, int64_t count) {
      cpu::Block block{};
      fill(block, 0);
      block.x = y + first * shape.row();
      block.y = y + first * shape.row();
      block.addend = added == nullptr ? nullptr : added + first * shape.row();
      block.elements = count * shape.row();
      block.lanes = plan.lanes;
      block.norm[0] = scaling.scale.data();
      block.norm[1] = scaling.shift.data();
      clip(block);
    };
    const int64_t products = shape.row() * shape.all_taps();
    parallel_by_turns(units, turn_of(units, products, shape.rows()), [&](const auto& turns) {
      Share share(shape, floats(x), weights.get(), y);
      turns([&](int64_t begin, int64_t end) { share.run(begin, end, finish); });
    });
  });
  return made;
}

}  // namespace actclip
