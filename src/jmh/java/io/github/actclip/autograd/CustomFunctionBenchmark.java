package io.github.actclip.autograd;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Forward and backward of a clip on one element: the difference of the two is what a {@link
 * CustomFunction} costs.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(3)
public class CustomFunctionBenchmark {

  private static final CustomFunction CLIP = new Clip();

  private Tensor x;
  private Tensor t;

  @Setup
  public void makeLeaves() {
    LibTorch.load();
    LibTorch.setThreads(1);
    try (TensorScope scope = new TensorScope()) {
      x = scope.keep(torch.ones(1).requires_grad_(true));
      t = scope.keep(torch.zeros(1).requires_grad_(true));
    }
  }

  @Benchmark
  public void plainWhere() {
    TensorScope.run(() -> torch.where(x.gt(t), t, x).backward());
  }

  @Benchmark
  public void customFunction() {
    TensorScope.run(() -> CLIP.apply(x, t).backward());
  }

  private static final class Clip extends CustomFunction {
    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      Tensor clipped = inputs[0].gt(inputs[1]);
      context.saveForBackward(clipped);
      return torch.where(clipped, inputs[1], inputs[0]);
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      Tensor clipped = context.saved(0);
      return new Tensor[] {
        gradOutput.mul(clipped.logical_not()), gradOutput.mul(clipped).sum().view(1)
      };
    }
  }
}
