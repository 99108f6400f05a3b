package io.github.actclip.samples.quickstart;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.report.Run;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Evaluator;
import java.nio.file.Path;
import java.util.Locale;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.TensorVector;

/**
 * Loads a Net that {@code samples/run train --out DIR} saved, and trains only its threshold, with
 * an optimizer of its own. Its one argument is DIR; the images are taken without {@code
 * --normalize}.
 */
public final class FineTuneThreshold {

  private FineTuneThreshold() {}

  public static void main(String[] args) {
    if (args.length != 1) {
      System.err.println("Give the folder that 'samples/run train --out DIR' wrote.");
      System.exit(2);
    }
    Path folder = Path.of(args[0]);
    Device device = Devices.auto();
    String options = RunSummary.read(folder).notes().get("actclip.net");
    Net net = new Net(NetOptions.fromJson(options));
    TensorScope.run(() -> StateDict.load(net, StateDict.read(folder.resolve(Run.MODEL))));
    net.to(device, false);
    print("before", net, device);

    TensorVector parameters = net.parameters();
    for (long i = 0; i < parameters.size(); i++) {
      parameters.get(i).set_requires_grad(false); // the weights stay as they are
    }
    net.actMax().set_requires_grad(true);
    Adam optimizer = new Adam(new TensorVector(net.actMax()), new AdamOptions(0.01));

    for (Batch batch : DataLoader.shuffled(ImageDataset.embedded(Split.TRAIN), 128, 0, device)) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            cross_entropy_loss(net.forward(batch.data()), batch.target()).backward();
            optimizer.step();
          });
    }
    print("after", net, device);
  }

  private static void print(String when, Net net, Device device) {
    double accuracy = Evaluator.evaluate(net, ImageDataset.embedded(Split.TEST), device).accuracy();
    System.out.printf(
        Locale.ROOT,
        "%-6s act_max %.6f, test accuracy %.2f %%%n",
        when,
        net.actMax().item_float(),
        100 * accuracy);
  }
}
