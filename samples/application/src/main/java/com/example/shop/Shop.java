package com.example.shop;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.op.ClipOp;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import org.bytedeco.pytorch.Device;

/** Trains on the images that the library brings, and asks what one of them shows. */
public final class Shop {

  private Shop() {}

  public static void main(String[] args) {
    Path folder = Path.of(args.length > 0 ? args[0] : "runs/shop");
    Device device = Devices.auto(); // it loads LibTorch, so it comes first
    System.out.println("kernels: " + ClipOp.backend());

    Dataset train = ImageDataset.embedded(Split.TRAIN);
    Dataset test = ImageDataset.embedded(Split.TEST);
    Net net = new Net();
    TrainerOptions options = TrainerOptions.builder(OptimizerType.SGD).epochs(1).build();
    try (Run run = Run.in(folder)) {
      new Trainer(net, options).with(run).fit(train, test);
    }

    TensorScope.run(
        () -> {
          Batch batch = DataLoader.sequential(test, 1, device).iterator().next();
          long answer = net.forward(batch.data()).argmax().item_long();
          System.out.println("prediction: " + train.classes().get((int) answer));
        });
  }
}
