package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import org.bytedeco.pytorch.Device;

/** What a step costs an image, in ever larger batches, and of ever larger images. */
final class Scaling {

  static final List<Integer> BATCH_SIZES = List.of(1, 4, 16, 64, 256, 1024);
  static final List<Integer> IMAGE_SIZES = List.of(32, 64, 96, 128, 160, 192, 224);

  private static final int BATCH_OF_IMAGE_SIZES = 16;
  private static final int STEPS = 3;

  private static final String LINE = "%-8s %9s %9s %8s %14s %14s %s%n";

  private final int threads;
  private final int rounds;
  private final Device device;

  Scaling(int threads, int rounds, Device device) {
    this.threads = threads;
    this.rounds = rounds;
    this.device = device;
  }

  /**
   * What was measured.
   *
   * @param imageSize height and width in pixels
   * @param millisAnImage of a training step in float32, the median of the rounds
   * @param convolutions how many times as long as the step its convolutions alone took
   * @param megabytesAnImage at most during a step, with the network; null where it is not known
   */
  record Point(
      int batchSize,
      int imageSize,
      int threads,
      double millisAnImage,
      double convolutions,
      Double megabytesAnImage) {

    long pixels() {
      return (long) imageSize * imageSize;
    }

    private void print() {
      System.out.printf(
          Locale.ROOT,
          LINE,
          "scaling",
          batchSize,
          imageSize,
          threads,
          text("%.4g", millisAnImage),
          megabytesAnImage == null ? "unknown" : text("%.3g", megabytesAnImage),
          text("%.2f", convolutions));
    }

    private static String text(String format, double number) {
      return String.format(Locale.ROOT, format, number);
    }
  }

  static void printTitle() {
    System.out.printf(
        Locale.ROOT,
        LINE,
        "part",
        "batch",
        "pixels",
        "threads",
        "ms an image",
        "MB an image",
        "convolutions");
  }

  /**
   * Measures batches of the first image size, then a batch of {@value #BATCH_OF_IMAGE_SIZES} of
   * each other one.
   */
  List<Point> measure(List<Integer> batchSizes, List<Integer> imageSizes) {
    LibTorch.setThreads(threads);
    List<Point> points = new ArrayList<>();
    batchSizes.forEach(batch -> add(points, batch, imageSizes.get(0)));
    imageSizes.stream().skip(1).forEach(size -> add(points, BATCH_OF_IMAGE_SIZES, size));
    return points;
  }

  private void add(List<Point> points, int batchSize, int imageSize) {
    TensorScope.run(() -> points.add(point(batchSize, imageSize)));
    points.get(points.size() - 1).print();
  }

  /** The caller's scope owns what it makes. */
  private Point point(int batchSize, int imageSize) {
    NetOptions options = new NetOptions(3, imageSize, 10);
    NetContestants net = new NetContestants(batchSize, options, Precision.FLOAT32, device);
    BenchmarkCase in =
        new BenchmarkCase(
            Part.SCALING, batchSize, threads, Precision.FLOAT32, Architecture.NET.name());
    List<Measurement> measured = Rounds.run(in, net.of(Part.STEP), rounds);
    OptionalLong bytes = memory(batchSize, options);
    return new Point(
        batchSize,
        imageSize,
        threads,
        measured.get(0).millis().median() / batchSize,
        measured.get(1).times().median(),
        bytes.isPresent() ? bytes.getAsLong() / 1e6 / batchSize : null);
  }

  /** Of the process; a GPU's own is another. */
  private OptionalLong memory(int batchSize, NetOptions options) {
    if (!device.is_cpu()) {
      return OptionalLong.empty();
    }
    return PeakMemory.of(
        () ->
            TensorScope.run(
                () -> {
                  NetContestants net =
                      new NetContestants(batchSize, options, Precision.FLOAT32, device);
                  for (int i = 0; i < STEPS; i++) {
                    net.step();
                  }
                }));
  }
}
