package io.github.actclip.samples.benchmark;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Net on JavaCPP's presets as they come, without actclip: for a process of its own. */
final class UntunedJavaCpp {

  private UntunedJavaCpp() {}

  /** Takes {@code step} or {@code forward}, the batch size, threads and the precision. */
  public static void main(String[] args) {
    if (!args[3].equals("float32")) {
      return; // Nobody gets another precision as it comes.
    }
    torch.set_num_threads(Integer.parseInt(args[2]));
    Work work = new Work(Integer.parseInt(args[1]));
    Runnable pass = args[0].equals("step") ? work::step : work::forward;
    Passes.serve("untuned JavaCPP", () -> scoped(pass));
  }

  private static void scoped(Runnable pass) {
    PointerScope scope = new PointerScope();
    pass.run();
    scope.close();
  }

  private static final class Net extends Module {

    private final Tensor actMax = register_parameter("act_max", torch.ones(1));
    private final Conv2dImpl conv1 = register_module("conv1", conv(3, 32));
    private final Conv2dImpl conv2 = register_module("conv2", conv(32, 64));
    private final LinearImpl linear = register_module("linear", new LinearImpl(1600, 10));

    private static Conv2dImpl conv(int in, int out) {
      return new Conv2dImpl(new Conv2dOptions(in, out, new LongPointer(5, 5)));
    }

    Tensor forward(Tensor images) {
      Tensor x = torch.max_pool2d(conv1.forward(images), 2).relu();
      x = torch.where(x.gt(actMax), actMax, x);
      x = torch.max_pool2d(conv2.forward(x), 2).relu();
      return linear.forward(x.flatten(1, -1));
    }
  }

  private static final class Work {

    private final Net net = new Net();
    private final SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
    private final Tensor images;
    private final Tensor labels;

    Work(int batch) {
      images = torch.randn(batch, 3, 32, 32);
      labels = torch.randint(0, 10, new long[] {batch}, new TensorOptions(ScalarType.Long));
    }

    void step() {
      optimizer.zero_grad();
      torch.cross_entropy_loss(net.forward(images), labels).backward();
      optimizer.step();
    }

    void forward() {
      NoGradGuard guard = new NoGradGuard();
      net.forward(images);
      guard.close();
    }
  }
}
