package io.github.actclip.train;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.TestData;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.Devices;
import org.bytedeco.javacpp.Pointer;

/**
 * Trains in bfloat16, with steps of several batches; prints by how many MiB the process grew from
 * the fifth epoch to the twentieth. In a JVM that has touched all of its heap, that is native.
 */
final class MemoryProbe {

  private static final int WARM_UP = 5;
  private static final int EPOCHS = 20;

  private static long before;

  private MemoryProbe() {}

  public static void main(String[] args) {
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(EPOCHS)
            .batchSize(32)
            .accumulation(4)
            .maxGradNorm(1)
            .precision(Precision.BFLOAT16)
            .build();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            // Both within the training, which gives back what malloc keeps when it ends.
            if (metrics.epoch() == WARM_UP) {
              before = Pointer.physicalBytes();
            } else if (metrics.epoch() == EPOCHS) {
              System.out.println("\ngrew by " + ((Pointer.physicalBytes() - before) >> 20));
            }
          }
        };
    ImageDataset few = TestData.grey(128); // bfloat16 is slow where it is emulated.
    ImageDataset test = TestData.first(500);
    // The device comes first: it loads LibTorch.
    var device = Devices.of("cpu");
    new Trainer(new Net(), options, device).with(listener).fit(few, test);
  }
}
