package io.github.actclip.samples.quickstart;

import static org.bytedeco.pytorch.global.torch.manual_seed;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.ImageFolder;
import io.github.actclip.data.Normalization;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import java.util.List;

/**
 * Images of one's own: {@code PHOTOS/train/cat/1.jpg}, {@code PHOTOS/test/cat/2.jpg}, and so on for
 * each class. The arguments are PHOTOS and, if wanted, where the results go, else {@code
 * runs/own-images}.
 */
final class OwnImages {

  private static final int SIZE = 64;

  private OwnImages() {}

  public static void main(String[] args) {
    if (args.length == 0) {
      System.err.println("Give the folder that has train/CLASS/IMAGE and test/CLASS/IMAGE.");
      System.exit(2);
    }
    Path photos = Path.of(args[0]);
    Path folder = Path.of(args.length > 1 ? args[1] : "runs/own-images");
    ImageFolder train = ImageFolder.of(photos.resolve("train")).resize(SIZE);
    ImageFolder test = train.like(photos.resolve("test")); // the same classes and size
    System.out.println(train.size() + " images of " + train.classes());

    LibTorch.load(); // before anything else of LibTorch
    manual_seed(0);
    Net net = new Net(new NetOptions(3, SIZE, train.classes().size()));
    Augmentation augmentation = new Augmentation(SIZE / 8, true); // shifts and mirrors, by chance
    Normalization normalization = Normalization.of(train); // decodes all of them: finds bad ones
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.ADAM).batchSize(16).epochs(10).build();

    try (Run run = Run.in(folder)) { // checkpoints, metrics, report.html
      List<EpochMetrics> epochs =
          new Trainer(net, options)
              .with(run)
              .fit(train.transformed(augmentation, normalization), test.transformed(normalization));
      System.out.println("test: " + epochs.get(epochs.size() - 1).test());
      System.out.println("report: " + folder.resolve(Run.REPORT));
    }
  }
}
