// How the elements of a tensor are divided among threads, and their sums among blocks.
#pragma once

#include "cuda/device.h"
#include "torch/geometry.h"

namespace actclip::cuda {

constexpr int kMostAcross = 32;  // threads side by side: a warp reads their packs at once
constexpr int64_t kLeastItems = 64;  // to a sum, so that sums are far fewer than elements
constexpr int64_t kWantedBlocks = 2048;  // enough for every GPU, whatever its processors

// A thread works on packs of neighbours. They are of one channel where a channel's elements stand
// together, else of neighbouring channels; either way a thread keeps to the channels of one group,
// has their parameters in registers, and a sum for each element of the pack. This depends on the
// tensor only, so that the order of the sums, and so their bits, are the same on every GPU.
struct Plan {
  int64_t channels;
  bool together;  // a group is one channel, else it is the channels of a pack
  int64_t row;    // elements from one run of a group to its next
  int64_t run;    // elements of a group that stand together
  int64_t groups;
  int64_t packs;   // of a run; the last may be shorter
  int64_t items;   // packs of a group
  int64_t lanes;   // elements of a pack
  int64_t across;  // groups that the threads of a block work on side by side: a power of two
  int64_t chunk;   // items that a block takes of each of its groups
  int64_t chunks;

  Plan(const Geometry& g, int64_t lanes_of_pack) : channels(g.channels), lanes(lanes_of_pack) {
    const bool shared = g.channels == 1;  // one run of everything
    const int64_t outer = shared ? 1 : g.outer;
    const int64_t inner = shared ? g.outer * g.inner : g.inner;
    together = shared || inner > 1;
    row = channels * inner;
    run = together ? inner : lanes;
    groups = together ? channels : ceil_divide(channels, lanes);
    packs = ceil_divide(run, lanes);
    items = outer * packs;
    across = 1;
    while (packs == 1 && across < kMostAcross && across < groups) {
      across *= 2;
    }
    const int64_t wanted_chunks =
        std::max<int64_t>(1, kWantedBlocks / std::max<int64_t>(1, ceil_divide(groups, across)));
    chunk = down() * std::max(
        ceil_divide(kLeastItems, down()), ceil_divide(items, down() * wanted_chunks));
    chunks = ceil_divide(items, chunk);
  }

  int64_t blocks() const { return ceil_divide(groups, across) * chunks; }

  // Threads of a block that work on the same group.
  ACTCLIP_FUNCTION int64_t down() const { return kThreads / across; }

  ACTCLIP_FUNCTION int64_t group(int64_t block, int thread) const {
    return block / chunks * across + thread % across;
  }

  ACTCLIP_FUNCTION int64_t first_item(int64_t block, int thread) const {
    return block % chunks * chunk + thread / across;
  }

  ACTCLIP_FUNCTION int64_t end_item(int64_t block) const {
    const int64_t end = (block % chunks + 1) * chunk;
    return end < items ? end : items;
  }

  struct Span {
    int64_t start;  // where a pack begins in memory
    int count;      // how many elements it has
  };

  ACTCLIP_FUNCTION Span span(int64_t group, int64_t item) const {
    // A division takes longer than the formulas, and most tensors need none.
    const int64_t outer = packs == 1 ? item : item < packs ? 0 : item / packs;
    const int64_t place = group * run + (item - outer * packs) * lanes;
    const int64_t end = (group + 1) * run;
    const int64_t rest = (end < row ? end : row) - place;
    return {outer * row + place, static_cast<int>(rest < lanes ? rest : lanes)};
  }

  // May be beyond the last, in the last group.
  ACTCLIP_FUNCTION int64_t channel(int64_t group, int lane) const {
    return together ? group : group * lanes + lane;
  }
};

}  // namespace actclip::cuda
