package io.github.actclip.samples;

import static org.bytedeco.pytorch.global.torch.avg_pool2d;
import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.bytedeco.pytorch.global.torch.manual_seed;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.util.Locale;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;

/** A network of one's own with a learned clip, and LibTorch's own loop around it. */
final class OwnNetwork extends Network {

  private final Conv2dImpl conv =
      register("conv", new Conv2dImpl(new Conv2dOptions(3, 32, new LongPointer(5, 5))));
  private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(32)));
  private final Clip clip =
      register("clip", new Clip(new ClipOptions(ClipForm.RELU).perChannel(32, 1)));
  private final LinearImpl head = register("head", new LinearImpl(32 * 7 * 7, 10));

  OwnNetwork() {
    super("OwnNetwork");
    toChannelsLast();
  }

  @Override
  public Tensor forward(Tensor images) {
    Tensor x = clip.forward(bn.forward(conv.forward(images))); // 32×28×28
    return head.forward(avg_pool2d(x, 4).flatten(1, -1));
  }

  public static void main(String[] args) {
    Device device = Devices.auto(); // CUDA or CPU; it loads LibTorch, so it comes first
    manual_seed(0);
    OwnNetwork net = new OwnNetwork();
    net.to(device, false);
    SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.1));
    DataLoader loader = DataLoader.shuffled(ImageDataset.embedded(Split.TRAIN), 64, 0, device);

    net.train(true); // batch normalisation by the batch
    print("before", net);
    for (Batch batch : loader.epoch(0)) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            cross_entropy_loss(net.forward(batch.data()), batch.target()).backward();
            optimizer.step();
          });
    }
    print("after one epoch", net);
    net.eval(); // batch normalisation by what was seen in training
    System.out.printf(Locale.ROOT, "test accuracy %.1f %%%n", 100 * accuracy(net, device));
  }

  private static void print(String when, OwnNetwork net) {
    net.thresholds()
        .forEach(
            (name, threshold) ->
                System.out.printf(
                    Locale.ROOT, "%s %s: %.4f on average%n", name, when, threshold.mean()));
  }

  private static double accuracy(OwnNetwork net, Device device) {
    ImageDataset test = ImageDataset.embedded(Split.TEST);
    long right = 0;
    for (Batch batch : DataLoader.sequential(test, 250, device)) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        Tensor classes = net.forward(batch.data()).argmax(new LongOptional(1), false);
        right += classes.eq(batch.target()).sum().item_long();
      }
    }
    return (double) right / test.size();
  }
}
