package io.github.actclip.samples;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Measures the clip beside LibTorch's own operations, round by round in turn. */
@Command(
    name = "clip",
    description =
        "Times forward and backward of ReLU and clip, float32, beside relu and where, in"
            + " interleaved rounds, and compares its memory bandwidth with that of a triad"
            + " (a = b + 3c).",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ClipBenchmarkCommand implements Runnable {

  /** A round takes as many passes as go over so many elements, at least one. */
  private static final long ELEMENTS_A_ROUND = 40_000_000;

  private static final int MOST_PASSES = 2_000;

  /** Counted: x read, y written; g and x read, the gradient by x written. */
  private static final int BYTES_OF_CLIP = 5 * Float.BYTES;

  private static final int BYTES_OF_TRIAD = 3 * Float.BYTES;

  @Option(
      names = "--sizes",
      paramLabel = "N",
      split = ",",
      defaultValue = "1,1000,100352,401408,4000000,64000000",
      description = "Elements of the activations (default: ${DEFAULT-VALUE}).")
  private List<Long> sizes;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "15",
      description = "Rounds for each side and size (default: 15).")
  private int rounds;

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    if (rounds < 1 || sizes.stream().anyMatch(size -> size < 1)) {
      throw ActclipException.badInput(
          "--sizes (%s) and --rounds (%d) must be at least 1", sizes, rounds);
    }
    Device device = machine.device();
    Results.print("clip backend", ClipOp.backend());
    Results.print("threads", LibTorch.threads());
    System.out.println("  elements   relu+where         clip   times as fast (rounds)   of triad");
    for (long size : sizes) {
      TensorScope.run(() -> measure(device, size));
    }
  }

  private void measure(Device device, long size) {
    Sides sides = new Sides(device, size);
    int passes = (int) Math.min(MOST_PASSES, Math.max(1, ELEMENTS_A_ROUND / size));
    double[] theirs = new double[rounds];
    double[] ours = new double[rounds];
    double[] triad = new double[rounds];
    for (int i = -1; i < rounds; i++) { // The first round, which warms up, does not count.
      int slot = Math.max(0, i);
      theirs[slot] = sides.micros(passes, sides::composed);
      ours[slot] = sides.micros(passes, sides::clip);
      triad[slot] = sides.micros(passes, sides::triad);
    }
    double[] ratios = new double[rounds];
    double[] shares = new double[rounds];
    Arrays.setAll(ratios, i -> theirs[i] / ours[i]);
    Arrays.setAll(shares, i -> (triad[i] / BYTES_OF_TRIAD) / (ours[i] / BYTES_OF_CLIP));
    System.out.printf(
        Locale.ROOT,
        "%10d %9.1f µs %9.1f µs   %5.2f (%.2f to %.2f) %13.0f %%%n",
        size,
        median(theirs),
        median(ours),
        median(ratios),
        Arrays.stream(ratios).min().orElseThrow(),
        Arrays.stream(ratios).max().orElseThrow(),
        100 * median(shares));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** What is compared, on the same tensors. */
  private static final class Sides {

    private final Tensor x;
    private final Tensor t;
    private final Tensor g;
    private final Tensor out;

    Sides(Device device, long size) {
      x = torch.randn(size).to(device, ScalarType.Float).requires_grad_(true);
      t = torch.ones(1).to(device, ScalarType.Float).requires_grad_(true);
      g = torch.randn(size).to(device, ScalarType.Float);
      out = torch.zeros_like(g);
    }

    void composed() {
      pass(
          (input, top) -> {
            Tensor rectified = input.relu();
            return torch.where(rectified.gt(top), top, rectified);
          });
    }

    void clip() {
      pass((input, top) -> ClipFunctions.relu(input, top, ThresholdGradient.SUM));
    }

    void triad() {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        torch.add_out(out, g, x, new Scalar(3));
      }
    }

    private void pass(BinaryOperator<Tensor> clip) {
      Tensor y = clip.apply(x, t);
      y.backward(g, new BoolOptional(), false, new TensorArrayRefOptional());
      x.mutable_grad().reset();
      t.mutable_grad().reset();
    }

    double micros(int passes, Runnable work) {
      long start = System.nanoTime();
      for (int i = 0; i < passes; i++) {
        TensorScope.run(work);
      }
      t.item_float(); // A GPU has finished by then.
      return (System.nanoTime() - start) / 1e3 / passes;
    }
  }
}
