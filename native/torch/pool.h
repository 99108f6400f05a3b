// What 2x2 pooling has to know of its tensors, on every device.
#pragma once

#include "torch/geometry.h"
#include "torch/ops.h"

namespace actclip {

// (batch, channels, height, width) of the inputs, and their memory: channels-last or contiguous.
struct PoolGeometry {
  int64_t batch;
  int64_t channels;
  int64_t height;
  int64_t width;
  bool channels_last;

  ACTCLIP_FUNCTION int64_t rows_out() const { return height / 2; }
  ACTCLIP_FUNCTION int64_t columns_out() const { return width / 2; }

  // A row of outputs is one of all channels in channels-last memory, else one of a channel.
  ACTCLIP_FUNCTION int64_t rows() const { return batch * rows_out() * (channels_last ? 1 : channels); }
  ACTCLIP_FUNCTION int64_t row_outputs() const { return columns_out() * interleaved(); }
  ACTCLIP_FUNCTION int64_t row_bytes() const { return (row_outputs() + 1) / 2; }
  ACTCLIP_FUNCTION int64_t interleaved() const { return channels_last ? channels : 1; }

  // In elements; a row of outputs has the input rows that begin at its offset and one row on.
  ACTCLIP_FUNCTION int64_t input_row() const { return width * interleaved(); }
  ACTCLIP_FUNCTION int64_t input_offset(int64_t row) const {
    return (row / rows_out() * height + 2 * (row % rows_out())) * input_row();
  }

  std::vector<int64_t> inputs() const { return {batch, channels, height, width}; }
  std::vector<int64_t> outputs() const { return {batch, channels, rows_out(), columns_out()}; }

  std::vector<int64_t> strides(const std::vector<int64_t>& sizes) const {
    return channels_last ? channels_last_strides(sizes) : contiguous_strides(sizes);
  }
};

// Of all channels, or one for each.
inline bool is_pool_threshold(const View& t, int64_t channels) {
  return t.numel == 1 ||
      ((t.dim == 3 || t.dim == 4) && t.numel == channels && t.sizes[t.dim - 3] == channels);
}

inline void require_pool_threshold(const View& x, const View& t, int64_t channels) {
  require_threshold(x, t);
  if (!is_pool_threshold(t, channels)) {
    throw std::runtime_error(
        "a threshold has the shape " + to_string(t.shape()) + ": pooling takes one element, or " +
        to_string({channels, 1, 1}));
  }
}

inline PoolGeometry pool_geometry(const View& x) {
  if (x.dim != 4 || x.sizes[2] < 2 || x.sizes[3] < 2) {
    throw std::runtime_error(
        "the activations have the shape " + to_string(x.shape()) +
        ": pooling takes (batch, channels, height, width), at least 2 high and 2 wide");
  }
  // Where channels are one element apart, memory is channels-last, with or without gaps.
  const bool contiguous = has_strides(x, contiguous_strides(x.shape()));
  const bool channels_last = !contiguous && x.sizes[1] > 1 && x.strides[1] == 1;
  return {x.sizes[0], x.sizes[1], x.sizes[2], x.sizes[3], channels_last};
}

// From what backward gets.
inline PoolGeometry pool_geometry(const View& g, const View& codes, const PoolShape& shape) {
  if (g.dim != 4 || shape.height / 2 != g.sizes[2] || shape.width / 2 != g.sizes[3]) {
    throw std::runtime_error(
        "the gradient has the shape " + to_string(g.shape()) + ", which is not that of pooled " +
        to_string({shape.height, shape.width}));
  }
  const PoolGeometry geometry{
      g.sizes[0], g.sizes[1], shape.height, shape.width, shape.channels_last};
  contiguous_strides(geometry.inputs());  // throws for too many, before any are counted
  require_same_device(g, codes);
  if (codes.dtype != aoti_torch_dtype_uint8() ||
      !codes.has_shape({geometry.rows(), geometry.row_bytes()}) ||
      !has_strides(codes, contiguous_strides(codes.shape()))) {
    throw std::runtime_error("the codes are not those that pooling of this shape gave");
  }
  return geometry;
}

}  // namespace actclip
