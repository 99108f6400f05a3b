package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * What a predictor does, as metrics of Micrometer, which the application brings ({@code
 * io.micrometer:micrometer-core}; nothing else here needs it):
 *
 * <pre>{@code
 * new PredictorMetrics(predictor).bindTo(registry);
 * }</pre>
 *
 * <ul>
 *   <li>{@code actclip.predictor.queued}, timer: how long samples waited for their batch
 *   <li>{@code actclip.predictor.latency}, timer: from when they were handed over to the prediction
 *   <li>{@code actclip.predictor.batch.size}, summary: the samples of each batch
 *   <li>{@code actclip.predictor.batch.time}, timer: what each batch took
 *   <li>{@code actclip.predictor.rejected}, counters by {@code kind}: full, too_late, closed,
 *       failure, bad_input
 *   <li>{@code actclip.predictor.waiting}, gauge: the samples that wait now
 *   <li>{@code actclip.predictor.native.bytes}, gauge: {@link Predictor#nativeBytes}
 * </ul>
 */
public final class PredictorMetrics implements MeterBinder {

  private static final String PREFIX = "actclip.predictor.";

  private final Predictor predictor;

  /** Metrics of a predictor, from when they are bound. */
  public PredictorMetrics(Predictor predictor) {
    this.predictor = predictor;
  }

  @Override
  public void bindTo(MeterRegistry registry) {
    Gauge.builder(PREFIX + "waiting", predictor, Predictor::waiting)
        .description("Samples that wait for a thread")
        .register(registry);
    Gauge.builder(PREFIX + "native.bytes", predictor, Predictor::nativeBytes)
        .description("Native memory for weights and batches")
        .baseUnit("bytes")
        .register(registry);
    predictor.listen(new Meters(registry));
  }

  private static final class Meters implements PredictorListener {

    private final Timer queued;
    private final Timer latency;
    private final DistributionSummary batchSize;
    private final Timer batchTime;
    private final Map<ActclipException.Kind, Counter> rejected =
        new EnumMap<>(ActclipException.Kind.class);

    Meters(MeterRegistry registry) {
      queued = timer("queued", "How long samples waited for their batch", registry);
      latency = timer("latency", "From when samples were handed over to the prediction", registry);
      batchTime = timer("batch.time", "What each batch took", registry);
      batchSize =
          DistributionSummary.builder(PREFIX + "batch.size")
              .description("The samples of each batch")
              .register(registry);
      for (ActclipException.Kind kind : ActclipException.Kind.values()) {
        rejected.put(
            kind,
            Counter.builder(PREFIX + "rejected")
                .description("Samples without a prediction")
                .tag("kind", kind.name().toLowerCase(Locale.ROOT))
                .register(registry));
      }
    }

    private static Timer timer(String name, String description, MeterRegistry registry) {
      return Timer.builder(PREFIX + name).description(description).register(registry);
    }

    @Override
    public void onBatch(int size, long nanos) {
      batchSize.record(size);
      batchTime.record(nanos, TimeUnit.NANOSECONDS);
    }

    @Override
    public void onPrediction(long queuedNanos, long totalNanos) {
      queued.record(queuedNanos, TimeUnit.NANOSECONDS);
      latency.record(totalNanos, TimeUnit.NANOSECONDS);
    }

    @Override
    public void onRejection(ActclipException.Kind kind) {
      rejected.get(kind).increment();
    }
  }
}
