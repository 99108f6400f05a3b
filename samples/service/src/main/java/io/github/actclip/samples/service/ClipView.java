package io.github.actclip.samples.service;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.infer.Sample;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.bytedeco.pytorch.Tensor;

/**
 * What the clips of a network did to one sample. It has a network of its own, because nobody else
 * may use one while it is observed, and looks at one sample at a time. Thread-safe.
 */
public final class ClipView implements AutoCloseable {

  private final Observed network;
  private final Predictor predictor;
  private final ReentrantLock one = new ReentrantLock();

  /**
   * A view of a network.
   *
   * @param network is the view's from now on
   * @param preprocessing as the network's training had it
   * @throws ActclipException bad input, when the network cannot take such data
   */
  public ClipView(Network network, Preprocessing preprocessing) {
    this.network = new Observed(network);
    PredictorOptions options =
        PredictorOptions.builder()
            .threads(1)
            .largestBatch(1)
            .warmUp(1)
            .preprocessing(preprocessing)
            .build();
    predictor = Predictor.of(this.network, options);
  }

  /**
   * One clip and one sample.
   *
   * @param name of its first threshold
   * @param threshold above which it clips; the mean, where each channel has its own
   * @param clipRate the share of its activations that it clipped, from 0 to 1
   * @param histogram of the activations: how many lie in each tenth of the threshold, from 0 to 2
   *     times the threshold
   */
  record Clipped(String name, double threshold, double clipRate, List<Long> histogram) {

    private static Clipped of(Map.Entry<String, ActivationStatistics> seen) {
      ActivationStatistics statistics = seen.getValue();
      return new Clipped(
          seen.getKey(), statistics.threshold(), statistics.clipRate(), statistics.histogram());
    }
  }

  /** What samples are made by. */
  Predictor predictor() {
    return predictor;
  }

  /**
   * Looks at a sample of {@link #predictor}.
   *
   * @return by the order of the clips in the network
   * @throws ActclipException FULL, while it looks at another one
   */
  List<Clipped> look(Sample sample) {
    if (!one.tryLock()) {
      throw ActclipException.rejected(
          ActclipException.Kind.FULL,
          "The clips are being looked at for somebody else: try again.");
    }
    try {
      predictor.predict(sample);
      return network.seen.entrySet().stream().map(Clipped::of).toList();
    } finally {
      one.unlock();
    }
  }

  @Override
  public void close() {
    predictor.close();
    network.network.close();
    network.close();
  }

  /** A network that notes what its clips see. */
  private static final class Observed extends Network {

    private final Network network;
    private volatile Map<String, ActivationStatistics> seen = Map.of();

    Observed(Network network) {
      this.network = register("network", network);
    }

    @Override
    public Tensor forward(Tensor x) {
      seen = network.observe(x);
      return network.forward(x);
    }
  }
}
