package io.github.actclip.samples;

import io.github.actclip.nn.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Measures one training step beside Python's, round by round in turn. */
@Command(
    name = "benchmark",
    description =
        "Times one training step of Net (forward, backward, SGD) beside Python's PyTorch,"
            + " channels-last, in interleaved rounds; without Python's PyTorch, alone.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    subcommands = ClipBenchmarkCommand.class)
final class BenchmarkCommand implements Runnable {

  private static final int WARM_UP_STEPS = 50;
  private static final int STEPS_A_ROUND = 30;
  private static final long SETTLE_MILLIS = 50;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "64",
      description = "Images a step (default: 64).")
  private int batchSize;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "15",
      description = "Rounds of 30 steps for each side (default: 15).")
  private int rounds;

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    if (batchSize < 1 || rounds < 1) {
      throw ActclipException.badInput(
          "--batch-size (%d) and --rounds (%d) must be at least 1", batchSize, rounds);
    }
    Step step = new Step(machine.device(), batchSize);
    Optional<PythonPeer> python = PythonPeer.start(batchSize, LibTorch.threads());
    double[] ours = new double[rounds];
    double[] theirs = new double[rounds];
    step.measure(WARM_UP_STEPS);
    python.ifPresent(peer -> peer.measure(WARM_UP_STEPS));
    for (int i = 0; i < rounds; i++) {
      settle();
      ours[i] = step.measure(STEPS_A_ROUND);
      settle();
      theirs[i] = python.isPresent() ? python.get().measure(STEPS_A_ROUND) : Double.NaN;
    }
    print("actclip", ours);
    if (python.isPresent()) {
      print("Python " + python.get().version(), theirs);
      double[] ratios = new double[rounds];
      Arrays.setAll(ratios, i -> theirs[i] / ours[i]);
      Results.print("times as fast", spread(ratios, "%.2f"));
      python.get().close();
    } else {
      Results.print("Python", "no python3 with PyTorch here (on Debian: python3-torch)");
    }
  }

  /** Lets the other side's threads, which spin for a while after their last work, go to sleep. */
  private static void settle() {
    try {
      Thread.sleep(SETTLE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void print(String name, double[] millis) {
    Results.print(name, spread(millis, "%.2f ms") + " a step");
  }

  private static String spread(double[] values, String format) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return String.format(
        Locale.ROOT,
        format + " (from " + format + " to " + format + ")",
        sorted[sorted.length / 2],
        sorted[0],
        sorted[sorted.length - 1]);
  }

  /** The step that is measured, on a batch that stays the same. */
  private static final class Step {

    private final Net net = new Net();
    private final SGD optimizer;
    private final Tensor images;
    private final Tensor labels;

    Step(Device device, int batchSize) {
      net.to(device, false);
      optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
      images =
          torch
              .randn(batchSize, 3, 32, 32)
              .to(device, ScalarType.Float)
              .contiguous(Net.MEMORY_FORMAT);
      labels =
          torch
              .randint(0, 10, new long[] {batchSize}, new TensorOptions(ScalarType.Long))
              .to(device, ScalarType.Long);
    }

    /** Milliseconds a step. */
    double measure(int steps) {
      long start = System.nanoTime();
      for (int i = 0; i < steps; i++) {
        TensorScope.run(this::step);
      }
      return (System.nanoTime() - start) / 1e6 / steps;
    }

    private void step() {
      optimizer.zero_grad();
      torch.cross_entropy_loss(net.forward(images), labels).backward();
      optimizer.step();
    }
  }
}
