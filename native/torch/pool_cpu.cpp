// 2x2 max pooling, relu and clip in one pass, for the CPU.
#include "torch/pool.h"

#include <cstring>

#include "torch/cpu.h"

namespace actclip {
namespace {

// How the rows of outputs are split into blocks: those of one block are summed together.
struct RowBlocks {
  PoolGeometry geometry;
  int64_t rows_of_plane;  // rows of one channel, or of all channels at once
  int64_t planes;
  int64_t rows_of_block;
  int64_t blocks_of_plane;
  int64_t blocks;

  explicit RowBlocks(const PoolGeometry& g) : geometry(g) {
    rows_of_plane = g.channels_last ? g.rows() : g.rows_out();
    planes = g.channels_last ? 1 : g.batch * g.channels;
    rows_of_block = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, g.row_outputs()));
    blocks_of_plane = ceil_divide(rows_of_plane, rows_of_block);
    blocks = planes * blocks_of_plane;
  }

  int64_t first_row(int64_t block) const {
    return block / blocks_of_plane * rows_of_plane + block % blocks_of_plane * rows_of_block;
  }

  int64_t rows(int64_t block) const {
    return std::min(rows_of_block, rows_of_plane - block % blocks_of_plane * rows_of_block);
  }

  int64_t channel(int64_t block) const {
    return geometry.channels_last ? 0 : block / blocks_of_plane % geometry.channels;
  }

  int64_t grain() const {
    const int64_t rows = std::min(rows_of_block, rows_of_plane);
    return kGrainElements / std::max<int64_t>(1, 4 * rows * geometry.row_outputs());
  }
};

// No window covers the last row or column of an odd number.
void clear_uncovered(const RowBlocks& blocks, int64_t row, char* top, int64_t bytes) {
  const PoolGeometry& g = blocks.geometry;
  const int64_t whole = g.input_row() * bytes;
  const int64_t covered = 2 * g.row_outputs() * bytes;
  std::memset(top + covered, 0, static_cast<size_t>(whole - covered));
  std::memset(top + whole + covered, 0, static_cast<size_t>(whole - covered));
  if (g.height % 2 == 1 && row % g.rows_out() == g.rows_out() - 1) {
    std::memset(top + 2 * whole, 0, static_cast<size_t>(whole));
  }
}

}  // namespace

Pooled Cpu::max_pool_clip(const View& given, const View& t, bool relu) {
  require_floating(given, "the activations");
  const RowBlocks blocks(pool_geometry(given));
  const PoolGeometry& g = blocks.geometry;
  require_pool_threshold(given, t, g.channels);
  const Laid x(given, g.strides(given.shape()), given.dtype);
  const cpu::PoolKernel kernel = kernels().find_pool(dtype_of(given), relu, g.channels_last);
  Pooled pooled{
      empty(g.outputs(), g.strides(g.outputs()), given.dtype, given),
      empty_contiguous({g.rows(), g.row_bytes()}, aoti_torch_dtype_uint8(), given)};
  uint8_t* codes = static_cast<uint8_t*>(data_of_new(pooled.codes));
  with_type(dtype_of(given), [&](auto type) {
    using T = decltype(type);
    const std::vector<T> thresholds = thresholds_of<T>(t, g.channels);
    const T* inputs = static_cast<const T*>(x.view.data());
    T* y = static_cast<T*>(data_of_new(pooled.y));
    parallel_for(blocks.blocks, blocks.grain(), [&](int64_t begin, int64_t end) {
      std::vector<uint8_t> scratch(static_cast<size_t>(g.row_outputs()));
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = blocks.first_row(block);
        for (int64_t row = first; row < first + blocks.rows(block); ++row) {
          const T* top = inputs + g.input_offset(row);
          kernel({top, top + g.input_row(), y + row * g.row_outputs(),
                  codes + row * g.row_bytes(), scratch.data(), g.row_outputs(), g.interleaved(),
                  thresholds.data() + blocks.channel(block),
                  g.channels_last ? g.channels : g.row_outputs()});
        }
      }
    });
  });
  return pooled;
}

PoolGradients Cpu::max_pool_clip_backward(
    const View& given_g, const View& codes, const View& t, const PoolShape& shape) {
  require_floating(given_g, "the gradient");
  const RowBlocks blocks(pool_geometry(given_g, codes, shape));
  const PoolGeometry& geometry = blocks.geometry;
  require_pool_threshold(given_g, t, geometry.channels);
  const Laid g(given_g, geometry.strides(geometry.outputs()), given_g.dtype);
  PoolGradients gradients;
  gradients.x =
      empty(geometry.inputs(), geometry.strides(geometry.inputs()), given_g.dtype, given_g);
  const cpu::PoolBackwardKernel kernel =
      kernels().find_pool_backward(dtype_of(given_g), geometry.channels_last);
  const int64_t bytes = element_size(given_g);
  const int64_t width = geometry.interleaved();
  const int lanes = lanes_of(width);
  const char* g_data = static_cast<const char*>(g.view.data());
  const uint8_t* code_data = static_cast<const uint8_t*>(codes.data());
  char* x_data = static_cast<char*>(data_of_new(gradients.x));
  Reduction reduction(blocks.blocks, 1, width, geometry.channels);
  parallel_for(blocks.blocks, blocks.grain(), [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> scratch(static_cast<size_t>(geometry.row_outputs()));
    std::vector<double> by_lane(static_cast<size_t>(lanes));
    for (int64_t block = begin; block < end; ++block) {
      std::fill(by_lane.begin(), by_lane.end(), 0.0);
      const int64_t first = blocks.first_row(block);
      for (int64_t row = first; row < first + blocks.rows(block); ++row) {
        char* top = x_data + geometry.input_offset(row) * bytes;
        kernel({g_data + row * geometry.row_outputs() * bytes,
                code_data + row * geometry.row_bytes(), scratch.data(), top,
                top + geometry.input_row() * bytes, geometry.row_outputs(), width, lanes,
                by_lane.data()});
        clear_uncovered(blocks, row, top, bytes);
      }
      reduction.put(block, by_lane);
    }
  });
  const std::vector<double> sums =
      reduction.total([&](int64_t block) { return blocks.channel(block); });
  gradients.t = gradient_of(t, sums.data(), geometry.channels, 1);
  return gradients;
}

}  // namespace actclip
