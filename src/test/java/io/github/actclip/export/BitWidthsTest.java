package io.github.actclip.export;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Prints the table of the page on exports: {@code mvn test -Dtest=BitWidthsTest
 * -Dactclip.table=true}. It trains Net in each width for minutes.
 */
@EnabledIfSystemProperty(named = "actclip.table", matches = "true")
class BitWidthsTest {

  private static final OnnxOptions IMAGES = OnnxOptions.of(3, 32, 32);
  private static final Dataset TEST = OnnxTest.images();
  private static final int SIZE = 3 * 32 * 32;
  private static final int ROUNDS = 31;
  private static final int PASSES = 20;

  @TempDir private Path folder;

  @Test
  void table() throws IOException {
    LibTorch.load();
    Path floats = folder.resolve("float.onnx");
    Net clipped = trained(ActivationOptions.original());
    Onnx.export(clipped, floats, IMAGES);
    print("float32", "bytes", "LibTorch", "ONNX Runtime", "same", "same, Java", "ms", "times");
    try (OnnxModel base = new OnnxModel(floats)) {
      row("float32", clipped, floats, base, "");
      for (int bits : new int[] {8, 4, 3, 2}) {
        Net net =
            trained(ActivationOptions.original().quantized(QuantizationMethod.LSQ, bits, bits));
        IntegerNetwork integers = integers(net);
        Path file = folder.resolve(bits + ".onnx");
        Onnx.export(integers, file, IMAGES);
        row(bits + "/" + bits, net, file, base, Integer.toString(sameInJava(net, integers)));
      }
    }
  }

  private static Net trained(ActivationOptions way) {
    torch.manual_seed(0);
    Net net = new Net(new NetOptions(3, 32, 10, way));
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(12)
            .batchSize(128)
            .learningRate(0.05)
            .schedule(LearningRateSchedule.of(LearningRateSchedule.Type.ONE_CYCLE))
            .build();
    new Trainer(net, options, Devices.of("cpu"))
        .fit(ImageDataset.embedded(Split.TRAIN), ImageDataset.embedded(Split.TEST));
    net.eval();
    return net;
  }

  private static IntegerNetwork integers(Network net) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      int[] samples = IntStream.range(0, 256).map(i -> 31 * i).toArray();
      return IntegerNetwork.of(net, ImageDataset.embedded(Split.TRAIN).batch(samples).data());
    }
  }

  private void row(String name, Network net, Path file, OnnxModel base, String inJava)
      throws IOException {
    int[] counts = new int[3];
    try (OnnxModel model = new OnnxModel(file)) {
      for (Batch batch : DataLoader.sequential(TEST, 500, Devices.of("cpu"))) {
        try (TensorScope scope = new TensorScope()) {
          scope.noGrad();
          int[] torch = OnnxTest.classes(TensorNumbers.of(net.forward(batch.data())));
          int[] onnx = OnnxTest.classes(doubles(model.run(batch.data())));
          double[] labels = TensorNumbers.of(batch.target());
          for (int i = 0; i < torch.length; i++) {
            counts[0] += torch[i] == labels[i] ? 1 : 0;
            counts[1] += onnx[i] == labels[i] ? 1 : 0;
            counts[2] += onnx[i] == torch[i] ? 1 : 0;
          }
        }
      }
      double[] ms = times(base, model);
      print(
          name,
          Files.size(file),
          percent(counts[0]),
          percent(counts[1]),
          counts[2],
          inJava,
          String.format(Locale.ROOT, "%.2f", ms[1]),
          String.format(Locale.ROOT, "%.2f", ms[0] / ms[1]));
    }
  }

  private static String percent(int right) {
    return String.format(Locale.ROOT, "%.2f %%", 100.0 * right / TEST.size());
  }

  private static double[] doubles(float[] values) {
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  /** Medians of rounds in turn, in ms of processor time for a batch of 64. */
  private static double[] times(OnnxModel... models) {
    double[][] ms = new double[models.length][ROUNDS];
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor x = torch.rand(64, 3, 32, 32);
      for (int round = 0; round < ROUNDS; round++) {
        for (int m = 0; m < models.length; m++) {
          long start = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
          for (int i = 0; i < PASSES; i++) {
            models[m].run(x);
          }
          ms[m][round] =
              (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - start)
                  / 1e6
                  / PASSES;
        }
      }
    }
    return Arrays.stream(ms)
        .mapToDouble(all -> Arrays.stream(all).sorted().toArray()[ROUNDS / 2])
        .toArray();
  }

  private static int sameInJava(Net net, IntegerNetwork integers) {
    int same = 0;
    for (Batch batch : DataLoader.sequential(TEST, 500, Devices.of("cpu"))) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        int[] torch = OnnxTest.classes(TensorNumbers.of(net.forward(batch.data())));
        double[] pixels = TensorNumbers.of(batch.data());
        same +=
            (int)
                IntStream.range(0, torch.length)
                    .parallel()
                    .filter(i -> integers.classOf(sample(pixels, i)) == torch[i])
                    .count();
      }
    }
    return same;
  }

  private static float[] sample(double[] pixels, int index) {
    float[] sample = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      sample[i] = (float) pixels[index * SIZE + i];
    }
    return sample;
  }

  private static void print(Object... cells) {
    System.out.println(
        "| " + String.join(" | ", Arrays.stream(cells).map(Object::toString).toList()) + " |");
  }
}
