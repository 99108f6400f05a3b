#include "torch/convolution_cpu.h"

namespace actclip {
namespace {

// Of the gradient by what was convolved, over which backward goes again and again: the second cache.
constexpr int64_t kCachedGradient = 64 << 10;
// Of the terms of a sum of gradients that are added one by one: see BlockedSums.
constexpr int64_t kBlockTerms = 1 << 10;

// A thread's share of the forward pass.
class Forward {
 public:
  Forward(
      const ConvolutionShape& shape, const float* x, const float* weight, const float* bias,
      const float* thresholds, float* y, uint8_t* codes)
      : shape_(shape), pooled_(shape.convolved()), kernel_(convolution_kernel()),
        pool_(kernels().find_pool(Dtype::kFloat32, true, true)), x_(x), weight_(weight),
        bias_(bias), thresholds_(thresholds), y_(y), codes_(codes),
        row_(2 * pooled_.columns_out() * kernel_.group),
        rows_at_once_(std::max<int64_t>(1, kCachedSums / (2 * row_))),
        packed_(numbers(shape.all_taps() * kernel_.group)),
        sums_(numbers(2 * rows_at_once_ * row_)),
        scratch_(static_cast<size_t>(row_ / 2)) {}

  // The work in units: a row of outputs, of an image, of a group of channels.
  static int64_t units(const ConvolutionShape& shape) {
    return shape.outputs / convolution_kernel().group * shape.convolved().batch *
        shape.convolved().rows_out();
  }

  static int64_t turn(const ConvolutionShape& shape) {
    const int64_t products =
        4 * shape.convolved().columns_out() * convolution_kernel().group * shape.all_taps();
    return turn_of(units(shape), products, shape.convolved().rows_out());
  }

  void run(int64_t begin, int64_t end) {
    const int64_t rows = pooled_.rows_out();
    const int64_t of_group = shape_.images * rows;
    while (begin < end) {
      const int64_t row = begin % rows;
      const int64_t count = std::min({rows - row, end - begin, rows_at_once_});
      take_group(begin / of_group * kernel_.group);
      convolve(begin % of_group / rows, row, count);
      pool(begin % of_group / rows, row, count);
      begin += count;
    }
  }

 private:
  void take_group(int64_t first) {
    if (first == first_) {
      return;
    }
    first_ = first;
    kernel_.pack(weight_ + first * shape_.all_taps(), shape_.all_taps(), packed_.get());
  }

  // Some rows of the kernel for all rows of outputs, then the next ones.
  void convolve(int64_t image, int64_t row, int64_t count) {
    const int64_t group = kernel_.group;
    for (int64_t i = 0; i < 2 * count * row_; i += group) {
      std::copy_n(bias_ + first_, group, &sums_[i]);
    }
    const int64_t weights_of_row = shape_.taps() * group;
    const int64_t at_once =
        std::max<int64_t>(1, kCachedWeights / std::max<int64_t>(1, weights_of_row));
    const float* x = x_ + (image * shape_.height + 2 * row) * shape_.input_row();
    for (int64_t k = 0; k < shape_.kernel_height; k += at_once) {
      for (int64_t i = 0; i < 2 * count; ++i) {
        kernel_.contract(
            {std::min(at_once, shape_.kernel_height - k), shape_.taps(), row_ / group,
             x + (i + k) * shape_.input_row(), shape_.input_row(), 1, shape_.inputs,
             &packed_[k * weights_of_row], weights_of_row, group, &sums_[i * row_], group});
      }
    }
  }

  void pool(int64_t image, int64_t row, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const float* top = &sums_[2 * i * row_];
      const int64_t row_out = image * pooled_.rows_out() + row + i;
      uint8_t* codes =
          codes_ == nullptr ? nullptr : codes_ + row_out * pooled_.row_bytes() + first_ / 2;
      pool_(
          {top, top + row_, y_ + row_out * pooled_.row_outputs() + first_, codes, scratch_.data(),
           row_ / 2, kernel_.group, thresholds_ + first_, shape_.outputs});
    }
  }

  const ConvolutionShape shape_;
  const PoolGeometry pooled_;
  const cpu::Convolution kernel_;
  const cpu::PoolKernel pool_;
  const float* const x_;
  const float* const weight_;
  const float* const bias_;
  const float* const thresholds_;
  float* const y_;
  uint8_t* const codes_;  // null where they are not wanted
  const int64_t row_;     // of sums, in numbers
  const int64_t rows_at_once_;
  const Numbers packed_;
  const Numbers sums_;
  std::vector<uint8_t> scratch_;
  int64_t first_ = -1;  // channel of the group
};

struct Rows {
  int64_t begin;
  int64_t end;
};

// Sums of very many terms in float32. They are added up in blocks of up to kBlockTerms, and the blocks'
// sums then: what rounding does grows with the length of a block and the number of blocks, not with the
// number of terms.
class BlockedSums {
 public:
  explicit BlockedSums(int64_t count) : count_(count), block_(numbers(count)) {}

  // The first block is added up in `sums` itself.
  void start(float* sums) {
    sums_ = sums;
    current_ = sums;
    terms_ = 0;
    std::fill_n(sums_, count_, 0.0f);
  }

  // Where to add so many terms more to each sum.
  float* next(int64_t terms) {
    if (terms_ > 0 && terms_ + terms > kBlockTerms) {
      finish();
      current_ = block_.get();
      terms_ = 0;
      std::fill_n(current_, count_, 0.0f);
    }
    terms_ += terms;
    return current_;
  }

  void finish() {
    for (int64_t i = 0; current_ != sums_ && i < count_; ++i) {
      sums_[i] += current_[i];
    }
  }

 private:
  const int64_t count_;
  const Numbers block_;
  float* sums_ = nullptr;
  float* current_ = nullptr;
  int64_t terms_ = 0;  // in the current block
};

// How backward cuts its work: into images, and where they are few and large these into bands of rows.
// Bands are summed in chunks, and the chunks' sums added up in their order, so that the same bits come
// out whatever the number of threads is.
class Bands {
 public:
  explicit Bands(const ConvolutionShape& shape)
      : shape_(shape), rows_(shape.convolved().rows_out()),
        rows_at_once_(std::clamp<int64_t>(
            kCachedGradient / std::max<int64_t>(1, 4 * shape.convolved().row_outputs()), 1, rows_)),
        of_image_(std::clamp<int64_t>(
            kMostChunks / std::max<int64_t>(1, shape.images), 1,
            ceil_divide(rows_, rows_at_once_))),
        chunks_(std::min(shape.images * of_image_, kMostChunks)) {}

  int64_t rows_at_once() const { return rows_at_once_; }
  int64_t chunks() const { return chunks_; }
  int64_t first(int64_t chunk) const { return chunk * shape_.images * of_image_ / chunks_; }

  int64_t image(int64_t band) const { return band / of_image_; }
  Rows rows(int64_t band) const {
    const int64_t i = band % of_image_;
    return {i * rows_ / of_image_, (i + 1) * rows_ / of_image_};
  }

  // Those in which the band's windows begin; at the end of an image all that are left.
  Rows input_rows(int64_t band) const {
    const Rows outputs = rows(band);
    return {2 * outputs.begin, outputs.end == rows_ ? shape_.height : 2 * outputs.end};
  }

 private:
  static constexpr int64_t kMostChunks = 16;

  const ConvolutionShape shape_;
  const int64_t rows_;  // of outputs, in an image
  const int64_t rows_at_once_;
  const int64_t of_image_;
  const int64_t chunks_;
};

// Of a chunk of bands.
struct Sums {
  float* x;  // of all images; null where they are not wanted
  float* parameters;  // by group, tap and channel for the weight, where it is wanted; then for the bias
  std::vector<double>& by_lane;  // for the threshold
};

// A thread's share of the backward pass.
class Backward {
 public:
  Backward(
      const ConvolutionShape& shape, const Bands& bands, const float* g, const uint8_t* codes,
      const float* x, const float* weight, bool by_x, bool by_weight)
      : shape_(shape), bands_(bands), pooled_(shape.convolved()), kernel_(convolution_kernel()),
        pool_(kernels().find_pool_backward(Dtype::kFloat32, true)), g_(g), codes_(codes), x_(x),
        row_(2 * pooled_.row_outputs()), convolved_(numbers(2 * bands.rows_at_once() * row_)),
        weights_(by_weight ? shape.outputs * shape.all_taps() : 0),
        parameters_(weights_ + shape.outputs),
        scratch_(static_cast<size_t>(pooled_.row_outputs())),
        ignored_(static_cast<size_t>(lanes_of(shape.outputs))) {
    if (by_x) {
      pack(weight);
    }
  }

  void run(int64_t chunk, const Sums& sums) {
    parameters_.start(sums.parameters);
    std::fill(sums.by_lane.begin(), sums.by_lane.end(), 0.0);
    for (int64_t band = bands_.first(chunk); band < bands_.first(chunk + 1); ++band) {
      if (sums.x != nullptr) {
        add_from_above(band, sums.x);
      }
      add(band, sums);
    }
    parameters_.finish();
  }

 private:
  void add(int64_t band, const Sums& sums) {
    const int64_t image = bands_.image(band);
    for_each(bands_.rows(band), [&](int64_t row, int64_t count) {
      unpool(image * pooled_.rows_out() + row, count, sums.by_lane);
      add_by_parameters(x_ + (image * shape_.height + 2 * row) * shape_.input_row(), count);
      if (sums.x != nullptr) {
        add_by_x(band, row, count, sums.x);
      }
    });
  }

  // Clears the band's inputs, and adds to them by the windows that begin in the band above.
  void add_from_above(int64_t band, float* by_x) {
    const int64_t image = bands_.image(band);
    const Rows inputs = bands_.input_rows(band);
    std::fill_n(
        by_x + (image * shape_.height + inputs.begin) * shape_.input_row(),
        (inputs.end - inputs.begin) * shape_.input_row(), 0.0f);
    const int64_t begin = bands_.rows(band).begin;
    const Rows above{std::max<int64_t>(0, begin - shape_.kernel_height / 2), begin};
    for_each(above, [&](int64_t row, int64_t count) {
      unpool(image * pooled_.rows_out() + row, count, ignored_);
      add_by_x(band, row, count, by_x);
    });
  }

  template <typename Task>
  void for_each(const Rows& rows, const Task& task) {
    for (int64_t row = rows.begin; row < rows.end; row += bands_.rows_at_once()) {
      task(row, std::min(bands_.rows_at_once(), rows.end - row));
    }
  }

  // By group of taps, output and tap; a group is one of inputs, at one place in the kernel.
  void pack(const float* weight) {
    const int64_t group = kernel_.group;
    packed_ = numbers(shape_.outputs * shape_.all_taps());
    float* to = packed_.get();
    for (int64_t tap = 0; tap < shape_.all_taps(); tap += group) {
      for (int64_t output = 0; output < shape_.outputs; ++output, to += group) {
        std::copy_n(weight + output * shape_.all_taps() + tap, group, to);
      }
    }
  }

  // The gradient by what was pooled into some rows; what no window covered is left out.
  void unpool(int64_t first, int64_t count, std::vector<double>& by_lane) {
    for (int64_t row = first; row < first + count; ++row) {
      float* top = &convolved_[2 * (row - first) * row_];
      pool_(
          {g_ + row * pooled_.row_outputs(), codes_ + row * pooled_.row_bytes(), scratch_.data(),
           top, top + row_, pooled_.row_outputs(), shape_.outputs,
           static_cast<int>(by_lane.size()), by_lane.data()});
    }
  }

  // Of what was convolved, from its first row on.
  struct Rectangle {
    int64_t rows;
    int64_t first_column;
    int64_t columns;
  };

  // Some columns at a time, all unless there are very many. x is where the first row's windows begin.
  void add_by_parameters(const float* x, int64_t count) {
    const int64_t columns = 2 * pooled_.columns_out();
    const int64_t at_once = std::max<int64_t>(1, kBlockTerms / (2 * count));
    for (int64_t first = 0; first < columns; first += at_once) {
      const Rectangle part{2 * count, first, std::min(at_once, columns - first)};
      float* sums = parameters_.next(part.rows * part.columns);
      if (weights_ > 0) {
        add_by_weight(x + first * shape_.inputs, part, sums);
      }
      add_by_bias(part, sums + weights_);
    }
  }

  // As the weights of a contraction.
  cpu::Contraction over(const Rectangle& part, int64_t channel) const {
    cpu::Contraction c{};
    c.rows = part.rows;
    c.taps = part.columns;
    c.w = &convolved_[part.first_column * shape_.outputs + channel];
    c.w_row = row_;
    c.w_tap = shape_.outputs;
    c.y_step = kernel_.group;
    return c;
  }

  // x is where the first window begins.
  void add_by_weight(const float* x, const Rectangle& part, float* sums) const {
    for (int64_t channel = 0; channel < shape_.outputs; channel += kernel_.group) {
      cpu::Contraction c = over(part, channel);
      c.outputs = shape_.taps();
      c.x_row = shape_.input_row();
      c.x_tap = shape_.inputs;
      c.x_step = 1;
      for (int64_t k = 0; k < shape_.kernel_height; ++k, sums += c.outputs * kernel_.group) {
        c.x = x + k * shape_.input_row();
        c.y = sums;
        kernel_.contract(c);
      }
    }
  }

  void add_by_bias(const Rectangle& part, float* sums) const {
    static constexpr float kOne = 1;
    for (int64_t channel = 0; channel < shape_.outputs; channel += kernel_.group) {
      cpu::Contraction c = over(part, channel);
      c.outputs = 1;
      c.x = &kOne;
      c.y = sums + channel;
      kernel_.contract(c);
    }
  }

  // To the band's inputs only. Each weight for all rows, so that those of a group stay in the first
  // cache.
  void add_by_x(int64_t band, int64_t first, int64_t count, float* sums) const {
    const int64_t group = kernel_.group;
    const Rows inputs = bands_.input_rows(band);
    const float* w = packed_.get();
    for (int64_t tap = 0; tap < shape_.all_taps(); tap += group, w += shape_.outputs * group) {
      const int64_t k = tap / shape_.taps();
      const int64_t begin = std::max<int64_t>(0, inputs.begin - 2 * first - k);
      const int64_t end = std::min(2 * count, inputs.end - 2 * first - k);
      for (int64_t row = begin; row < end; ++row) {
        // Taps go on in a row of inputs from one column of the kernel to the next.
        float* y = sums + tap % shape_.taps() +
            (bands_.image(band) * shape_.height + 2 * first + row + k) * shape_.input_row();
        kernel_.contract(
            {1, shape_.outputs, 2 * pooled_.columns_out(), &convolved_[row * row_], 0, 1,
             shape_.outputs, w, 0, group, y, shape_.inputs});
      }
    }
  }

  const ConvolutionShape shape_;
  const Bands bands_;
  const PoolGeometry pooled_;
  const cpu::Convolution kernel_;
  const cpu::PoolBackwardKernel pool_;
  const float* const g_;
  const uint8_t* const codes_;
  const float* const x_;
  const int64_t row_;  // of what was convolved, in numbers
  const Numbers convolved_;
  const int64_t weights_;  // 0 where their gradient is not wanted
  BlockedSums parameters_;
  std::vector<uint8_t> scratch_;
  std::vector<double> ignored_;
  Numbers packed_;
};

// Adds the chunks' sums up, which lie by group, tap and channel, and puts them where weights lie.
void add_by_weight(
    const ConvolutionShape& shape, const float* sums, int64_t chunks, int64_t of_chunk, float* to) {
  const int64_t group = convolution_kernel().group;
  const int64_t taps = shape.all_taps();
  parallel_for(
      shape.outputs / group * taps, kGrainElements / (group * std::max<int64_t>(1, chunks)),
      [&](int64_t begin, int64_t end) {
        std::vector<float> total(static_cast<size_t>(group));
        for (int64_t i = begin; i < end; ++i) {
          std::fill(total.begin(), total.end(), 0.0f);
          for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            const float* from = sums + chunk * of_chunk + i * group;
            for (int64_t channel = 0; channel < group; ++channel) {
              total[static_cast<size_t>(channel)] += from[channel];
            }
          }
          float* first = to + i / taps * group * taps + i % taps;
          for (int64_t channel = 0; channel < group; ++channel) {
            first[channel * taps] = total[static_cast<size_t>(channel)];
          }
        }
      });
}

}  // namespace

Pooled convolve_pool_clip(
    const View& x, const View& weight, const View& bias, const View& t, bool codes) {
  const ConvolutionShape shape(x, weight);
  const PoolGeometry pooled = shape.convolved();
  Pooled made{empty(pooled.outputs(), pooled.strides(pooled.outputs()), x.dtype, x), {}};
  uint8_t* of_made = nullptr;
  if (codes) {
    made.codes = empty_contiguous({pooled.rows(), pooled.row_bytes()}, aoti_torch_dtype_uint8(), x);
    of_made = static_cast<uint8_t*>(data_of_new(made.codes));
  }
  const std::vector<float> thresholds = thresholds_of<float>(t, shape.outputs);
  float* y = static_cast<float*>(data_of_new(made.y));
  parallel_by_turns(Forward::units(shape), Forward::turn(shape), [&](const auto& for_each_turn) {
    Forward forward(
        shape, numbers_of(x), numbers_of(weight), numbers_of(bias), thresholds.data(), y, of_made);
    for_each_turn([&](int64_t begin, int64_t end) { forward.run(begin, end); });
  });
  return made;
}

ConvolutionGradients convolve_pool_clip_backward(
    const View& given_g, const View& codes, const View& x, const View& weight, const View& t,
    bool by_x, bool by_weight) {
  const ConvolutionShape shape(x, weight);
  const PoolGeometry pooled = shape.convolved();
  const Laid g(given_g, pooled.strides(pooled.outputs()), given_g.dtype);
  ConvolutionGradients made;
  made.bias = empty_contiguous({shape.outputs}, x.dtype, x);
  float* inputs = nullptr;
  if (by_x) {
    made.x = empty(x.shape(), channels_last_strides(x.shape()), x.dtype, x);
    inputs = static_cast<float*>(data_of_new(made.x));
  }
  const Bands bands(shape);
  const int64_t chunks = bands.chunks();
  const int64_t weights = by_weight ? shape.outputs * shape.all_taps() : 0;
  const int64_t of_chunk = weights + shape.outputs;
  const Numbers sums = numbers(chunks * of_chunk);
  Reduction thresholds(chunks, 1, shape.outputs, shape.outputs);
  parallel_by_turns(chunks, 1, [&](const auto& for_each_turn) {
    Backward backward(
        shape, bands, numbers_of(g.view), static_cast<const uint8_t*>(codes.data()), numbers_of(x),
        numbers_of(weight), by_x, by_weight);
    std::vector<double> by_lane(static_cast<size_t>(lanes_of(shape.outputs)));
    for_each_turn([&](int64_t chunk, int64_t) {
      backward.run(chunk, {inputs, &sums[chunk * of_chunk], by_lane});
      thresholds.put(chunk, by_lane);
    });
  });
  if (by_weight) {
    made.weight = empty(weight.shape(), channels_last_strides(weight.shape()), x.dtype, x);
    add_by_weight(
        shape, sums.get(), chunks, of_chunk, static_cast<float*>(data_of_new(made.weight)));
  }
  float* bias = numbers_of(View(made.bias.get()));
  std::fill_n(bias, shape.outputs, 0.0f);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t channel = 0; channel < shape.outputs; ++channel) {
      bias[channel] += sums[chunk * of_chunk + weights + channel];
    }
  }
  const std::vector<double> total = thresholds.total([](int64_t) { return 0; });
  made.t = gradient_of(t, total.data(), shape.outputs, 1);
  return made;
}

}  // namespace actclip
