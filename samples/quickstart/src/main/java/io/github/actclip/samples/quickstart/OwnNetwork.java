package io.github.actclip.samples.quickstart;

import static org.bytedeco.pytorch.global.torch.adaptive_avg_pool2d;
import static org.bytedeco.pytorch.global.torch.manual_seed;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * A network of one's own, trained in a folder: {@code runs/own-network}, or the one argument. Stop
 * it, run it again, and it goes on where it was.
 */
final class OwnNetwork extends Network {

  private final Conv2dImpl conv =
      register("conv", new Conv2dImpl(new Conv2dOptions(3, 32, new LongPointer(5, 5))));
  private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(32)));
  private final Clip clip =
      register("clip", new Clip(new ClipOptions(ClipForm.RELU).perChannel(32, 1)));
  private final LinearImpl head = register("head", new LinearImpl(32 * 7 * 7, 10));

  @Override
  public Tensor forward(Tensor images) {
    Tensor x = clip.forward(bn.forward(conv.forward(images))); // 32×28×28
    return head.forward(adaptive_avg_pool2d(x, 7, 7).flatten(1, -1));
  }

  public static void main(String[] args) {
    LibTorch.load(); // before anything else of LibTorch
    manual_seed(0);
    OwnNetwork network = new OwnNetwork();
    network.toChannelsLast(); // faster on a CPU
    Dataset train = ImageDataset.embedded(Split.TRAIN);
    Dataset test = ImageDataset.embedded(Split.TEST);
    TrainerOptions options = TrainerOptions.builder(OptimizerType.SGD).epochs(3).build();
    Path folder = Path.of(args.length > 0 ? args[0] : "runs/own-network");

    try (Run run = Run.in(folder)) { // checkpoints, metrics, report.html
      List<EpochMetrics> epochs = new Trainer(network, options).with(run).fit(train, test);
      EpochMetrics last = epochs.get(epochs.size() - 1);
      System.out.println("test: " + last.test()); // {loss=…, accuracy=…}
      System.out.println("report: " + folder.resolve(Run.REPORT));
    }
  }
}
