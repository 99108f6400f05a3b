package io.github.actclip.samples;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;

import io.github.actclip.data.Batch;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.report.RunDirectory;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Evaluator;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import java.util.Locale;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.TensorVector;

/**
 * Loads a Net that {@code samples/run train --out DIR} saved, and trains only its threshold, with
 * an optimizer of its own. Its one argument is DIR.
 */
final class FineTuneThreshold {

  private FineTuneThreshold() {}

  public static void main(String[] args) {
    if (args.length != 1) {
      System.err.println("Give the folder that 'samples/run train --out DIR' wrote.");
      System.exit(2);
    }
    Device device = Devices.auto();
    RunDirectory directory = RunDirectory.open(Path.of(args[0]));
    TrainerOptions options = directory.loadSummary().options();
    Net net = directory.loadNet();
    net.to(device, false);
    print("before", net, options, device);

    TensorVector parameters = net.parameters();
    for (long i = 0; i < parameters.size(); i++) {
      parameters.get(i).set_requires_grad(false); // the weights stay as they are
    }
    net.actMax().set_requires_grad(true);
    Adam optimizer = new Adam(new TensorVector(net.actMax()), new AdamOptions(0.01));

    for (Batch batch : options.loader(ImageDataset.embedded(Split.TRAIN), device)) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            cross_entropy_loss(net.forward(batch.data()), batch.target()).backward();
            optimizer.step();
          });
    }
    print("after", net, options, device);
  }

  private static void print(String when, Net net, TrainerOptions options, Device device) {
    ImageDataset test = ImageDataset.embedded(Split.TEST);
    double accuracy = Evaluator.evaluate(net, test, options.normalization(), device).accuracy();
    System.out.printf(
        Locale.ROOT,
        "%-6s act_max %.6f, test accuracy %.2f %%%n",
        when,
        net.actMax().item_float(),
        100 * accuracy);
  }
}
