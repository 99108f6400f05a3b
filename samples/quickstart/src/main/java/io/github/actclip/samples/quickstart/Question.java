package io.github.actclip.samples.quickstart;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.bytedeco.pytorch.global.torch.manual_seed;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.util.Locale;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;

/** The script of the question in Java: the optimizer alone moves act_max. */
final class Question {

  private Question() {}

  public static void main(String[] args) {
    Device device = Devices.auto(); // CUDA or CPU; it loads LibTorch, so it comes first
    manual_seed(0);
    Net net = new Net(); // act_max, conv1, conv2, linear
    net.to(device, false);
    SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
    DataLoader loader = DataLoader.shuffled(ImageDataset.embedded(Split.TRAIN), 64, 0, device);

    System.out.printf(Locale.ROOT, "act_max before: %.6f%n", net.actMax().item_float());
    for (Batch batch : loader.epoch(0)) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            Tensor loss = cross_entropy_loss(net.forward(batch.data()), batch.target());
            loss.backward();
            optimizer.step(); // act_max too: no act_max.data -= 0.001 * act_max.grad.data
          });
    }
    System.out.printf(Locale.ROOT, "act_max after one epoch: %.6f%n", net.actMax().item_float());
  }
}
