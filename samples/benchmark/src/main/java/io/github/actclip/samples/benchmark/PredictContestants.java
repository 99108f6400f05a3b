package io.github.actclip.samples.benchmark;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.infer.Sample;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.TensorScope;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntToDoubleFunction;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;

/**
 * A {@link Predictor}, asked by as many callers as the case's size says, and the bare forward pass
 * of its network: of one image for one caller, for several of a batch of {@value #BATCH_SIZE}. All
 * in milliseconds an image.
 */
final class PredictContestants {

  /** As many as a predictor computes together by default. */
  private static final int BATCH_SIZE = 64;

  /** How many threads ask. */
  static final List<Integer> CALLERS = List.of(1, 8);

  /** How many images a caller may ask about together. */
  private static final int TOGETHER = 16;

  private final Network network;
  private final Tensor images;
  private final Predictor predictor;
  private final Sample sample;
  private final Callers callers;

  /** Belongs to the caller's scope, but for the predictor, which the first contestant closes. */
  PredictContestants(BenchmarkCase in, Network network, Device device) {
    this.network = network;
    boolean alone = in.size() == 1;
    predictor =
        Predictor.of(
            network,
            PredictorOptions.builder()
                .device(device.str().getString())
                .workers(alone ? 1 : in.threads())
                .threads(alone ? in.threads() : 1)
                .preprocessing(Preprocessing.ofImages(Wanted.SMALL_IMAGES))
                .build());
    images =
        Images.random(alone ? 1 : BATCH_SIZE, Wanted.SMALL_IMAGES, Wanted.FEW_CLASSES, device)
            .data();
    float[] pixels = new float[3 * Wanted.SMALL_IMAGES * Wanted.SMALL_IMAGES];
    sample = predictor.sample(pixels);
    callers = new Callers(in.size(), () -> () -> predictor.predict(sample));
  }

  /** The predictor first. */
  List<Contestant> all() {
    Callers forward = new Callers(1, () -> this::forward);
    int batch = (int) images.size(0);
    List<Contestant> all = new ArrayList<>(timed("Predictor", callers, 1, predictor::close));
    if (callers.count() > 1) {
      all.add(contestant("  " + TOGETHER + " each together", this::together, () -> {}));
    }
    List<Contestant> bare = timed("bare forward of " + batch, forward, batch, () -> {});
    all.addAll(batch == 1 ? bare : bare.subList(0, 1));
    return all;
  }

  /** One that asks, and what half and 99 % of its passes took at most when it asked last. */
  private static List<Contestant> timed(String name, Callers callers, int images, Runnable close) {
    AtomicReference<double[]> last = new AtomicReference<>();
    return List.of(
        contestant(
            name,
            passes -> {
              long start = System.nanoTime();
              double[] millis = callers.ask(Math.max(1, passes / images));
              double all = (System.nanoTime() - start) / 1e6;
              Arrays.sort(millis);
              last.set(millis);
              return all / millis.length / images;
            },
            close),
        contestant("  its median", passes -> quantile(0.5, last.get()), () -> {}),
        contestant("  its 99 %", passes -> quantile(0.99, last.get()), () -> {}));
  }

  private static double quantile(double part, double[] sorted) {
    return sorted[(int) (part * (sorted.length - 1))];
  }

  /** Where callers have more than one image: it fills the batches. */
  private double together(int passes) {
    List<Sample> samples = Collections.nCopies(TOGETHER, sample);
    Callers asking = new Callers(callers.count(), () -> () -> predictor.predictAll(samples));
    return asking.throughput(Math.max(1, passes / TOGETHER)) / TOGETHER;
  }

  private void forward() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      FloatBuffer outputs = network.forward(images).contiguous().createBuffer();
      outputs.get(new float[outputs.remaining()]);
    }
  }

  private static Contestant contestant(String name, IntToDoubleFunction measure, Runnable close) {
    return new Contestant() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public double measure(int passes) {
        return measure.applyAsDouble(passes);
      }

      @Override
      public void close() {
        close.run();
      }
    };
  }
}
