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
 * CustomFunction} costs, with the JavaCPP objects of its own operations.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 10, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class CustomFunctionBenchmark {

  private CustomFunction clip;
  private Tensor x;
  private Tensor t;

  @Setup
  public void makeLeaves() {
    LibTorch.load();
    LibTorch.setThreads(1);
    clip = new Clip();
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
    TensorScope.run(() -> clip.apply(x, t).backward());
  }

  private static final class Clip extends CustomFunction {

    private final Tensor zero = torch.zeros();

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
        torch.where(clipped, zero, gradOutput),
        torch.where(clipped, gradOutput, zero).sum_to_size(1)
      };
    }
  }
}
