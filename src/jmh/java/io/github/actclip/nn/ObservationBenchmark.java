package io.github.actclip.nn;

import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** A training step with and without a look at the activations, of one clip and of 19. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 5, time = 3)
@Fork(2)
public class ObservationBenchmark {

  /** Every layer looks once in so many. */
  private static final int STEPS = 16;

  private static final int BATCH = 64;

  @Param({"1", "19"})
  public int clips;

  @Param({"true", "false"})
  public boolean observed;

  private Network network;
  private SGD optimizer;
  private Tensor images;
  private Tensor labels;
  private final ActivationMonitor monitor = new ActivationMonitor();
  private Tensor activations;
  private Tensor thresholds;

  @Setup
  public void makeNetwork() {
    LibTorch.load();
    LibTorch.setThreads(1);
    network = clips == 1 ? new Net() : new Deep(clips);
    network.setObserved(observed);
    optimizer = new SGD(network.parameters(), new SGDOptions(1e-5));
    images = torch.randn(BATCH, 3, 32, 32).contiguous(MemoryFormat.ChannelsLast);
    labels = torch.randint(0, 10, new long[] {BATCH}, new TensorOptions(ScalarType.Long));
    activations = torch.randn(BATCH, 32, 14, 14).contiguous(MemoryFormat.ChannelsLast);
    thresholds = torch.rand(32, 1, 1);
  }

  @Benchmark
  @OperationsPerInvocation(STEPS)
  public void steps() {
    for (int i = 0; i < STEPS; i++) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            Tensor logits = network.forward(images).flatten(1, -1).narrow(1, 0, 10);
            torch.cross_entropy_loss(logits, labels).backward();
            optimizer.step();
          });
    }
  }

  /** One look, of which each layer takes one in 16 steps. */
  @Benchmark
  public void look() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      monitor.observe(activations, thresholds, false);
    }
  }

  /** Convolutions of 16 channels, each with a clip. */
  private static final class Deep extends Network {

    private final List<Conv2dImpl> convolutions = new ArrayList<>();
    private final List<Clip> clips = new ArrayList<>();

    Deep(int layers) {
      for (int i = 0; i < layers; i++) {
        Conv2dOptions shape = new Conv2dOptions(i == 0 ? 3 : 16, 16, new LongPointer(3, 3));
        shape.padding().put(new LongPointer(1, 1));
        convolutions.add(register("conv" + i, new Conv2dImpl(shape)));
        ClipOptions options = new ClipOptions(ClipForm.RELU).initial(2).perChannel(16, 1);
        clips.add(register("clip" + i, new Clip(options)));
      }
      toChannelsLast();
    }

    @Override
    public Tensor forward(Tensor images) {
      Tensor x = images;
      for (int i = 0; i < clips.size(); i++) {
        x = clips.get(i).forward(convolutions.get(i).forward(x));
      }
      return x.mean(2, 3);
    }
  }
}
