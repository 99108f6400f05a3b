package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.junit.jupiter.api.Test;

class ActivationMonitorTest {

  static {
    LibTorch.load();
  }

  /** A float32 that counts by ones stays at 2^24, and each thread of LibTorch's histc has one. */
  @Test
  void countsMoreThanFloat32Does() {
    long elements = (1L << 24) + 5;
    int threads = torch.get_num_threads();
    torch.set_num_threads(1);
    try {
      TensorScope.run(
          () -> {
            Tensor one = torch.ones(1);
            Tensor quarters = one.mul(new Scalar(0.25)).expand(elements);
            ActivationStatistics seen = ActivationMonitor.look(quarters, one, one);
            assertEquals(elements, seen.histogram().get(2).longValue());
          });
    } finally {
      torch.set_num_threads(threads);
    }
  }

  /** Of three channels, in either memory format, and of what was let through. */
  @Test
  void aSampleIsEvenlySpread() {
    TensorScope.run(
        () -> {
          Tensor x = torch.rand(8, 3, 128, 128);
          Tensor top = torch.rand(3).view(3, 1, 1);
          double rate = 1 - top.mean().item_double();
          Tensor let = torch.minimum(x, top);
          for (Tensor some : new Tensor[] {x, x.contiguous(MemoryFormat.ChannelsLast)}) {
            assertEquals(rate, observed(some, top, false).clipRate(), 0.02);
          }
          ActivationStatistics seen = observed(let, top, true);
          assertEquals(rate, seen.clipRate(), 0.02);
          long all = seen.histogram().stream().mapToLong(Long::longValue).sum();
          assertTrue(all > 2048 && all <= 4096, all + "");
          assertEquals(seen.clipRate(), (double) seen.histogram().get(10) / all);
        });
  }

  private static ActivationStatistics observed(Tensor x, Tensor top, boolean limited) {
    ActivationMonitor monitor = new ActivationMonitor();
    monitor.observe(x, top, limited);
    return monitor.last(torch.ones(1)).orElseThrow();
  }

  @Test
  void layersTakeTurnsAndCanBeSwitchedOff() {
    List<ActivationMonitor> monitors = Stream.generate(ActivationMonitor::new).limit(16).toList();
    monitors.forEach(monitor -> assertTrue(monitor.isDue()));
    for (int step = 1; step < 64; step++) {
      long looks = monitors.stream().filter(ActivationMonitor::isDue).count();
      assertEquals(step < 16 ? 0 : 1, looks, "in step " + step);
    }
    monitors.forEach(monitor -> monitor.setEnabled(false));
    for (int step = 0; step < 16; step++) {
      assertTrue(monitors.stream().noneMatch(ActivationMonitor::isDue));
    }
  }
}
