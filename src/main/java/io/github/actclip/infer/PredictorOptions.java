package io.github.actclip.infer;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.runtime.ActclipException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * How a {@link Predictor} works.
 *
 * <pre>{@code
 * PredictorOptions options =
 *     PredictorOptions.builder().workers(4).threads(1).deadline(Duration.ofMillis(200)).build();
 * }</pre>
 *
 * @param workers threads that compute, at least 1; each computes a batch of its own
 * @param threads of LibTorch in each of them, at least 1: {@code workers · threads} is best no more
 *     than the processors
 * @param largestBatch samples that are computed together at most, at least 1
 * @param maxWait how long a worker waits for others to come when less than the largest batch is
 *     there; zero, the default, to compute what is there
 * @param queueCapacity samples that may wait, at least 1; one more is rejected
 * @param deadline how long a prediction may take from when it is handed over; zero for any time
 * @param device where it computes, as {@link io.github.actclip.runtime.Devices#of} has it
 * @param warmUp sizes of batches that each worker computes once before the first prediction, each
 *     at most the largest; may be empty
 * @param mostPixels that an image may have, at least 1; never more than 89,478,485
 * @param preprocessing in place of that beside the weights; needed where there is none
 */
public record PredictorOptions(
    int workers,
    int threads,
    int largestBatch,
    Duration maxWait,
    int queueCapacity,
    Duration deadline,
    String device,
    List<Integer> warmUp,
    long mostPixels,
    Optional<Preprocessing> preprocessing) {

  /** Each has memory of its own for what a forward pass needs. */
  private static final int DEFAULT_WORKERS = 8;

  private static final int MOST_THREADS = 1024;
  private static final int LARGEST = 65_536;
  private static final int MOST_WAITING = 10_000_000;
  private static final Duration LONGEST = Duration.ofDays(1);

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, naming the first that is out of range
   */
  public PredictorOptions {
    requireBetween("workers", workers, MOST_THREADS);
    requireBetween("threads", threads, MOST_THREADS);
    requireBetween("largestBatch", largestBatch, LARGEST);
    requireTime("maxWait", maxWait);
    requireBetween("queueCapacity", queueCapacity, MOST_WAITING);
    requireTime("deadline", deadline);
    Objects.requireNonNull(device, "device");
    warmUp = List.copyOf(warmUp);
    for (int size : warmUp) {
      requireBetween("warmUp", size, largestBatch);
    }
    requireBetween("mostPixels", mostPixels, Long.MAX_VALUE);
    Objects.requireNonNull(preprocessing, "preprocessing");
  }

  private static void requireBetween(String name, long value, long most) {
    if (value < 1 || value > most) {
      throw ActclipException.badInput("%s (%d) must be 1 to %d", name, value, most);
    }
  }

  private static void requireTime(String name, Duration time) {
    if (time.isNegative() || time.compareTo(LONGEST) > 0) {
      throw ActclipException.badInput("%s (%s) must be from 0 to a day", name, time);
    }
  }

  /**
   * A worker of one thread for each processor, at most 8, and batches of up to 64. Where few ask a
   * large network, one worker of several threads answers sooner.
   */
  public static PredictorOptions defaults() {
    return builder().build();
  }

  /** Starts with {@link #defaults}. */
  public static Builder builder() {
    return new Builder();
  }

  /** Sets options by name; {@link #build} checks them. */
  public static final class Builder {

    private int workers = Math.min(Runtime.getRuntime().availableProcessors(), DEFAULT_WORKERS);
    private int threads = 1;
    private int largestBatch = 64;
    private Duration maxWait = Duration.ZERO;
    private int queueCapacity = 1024;
    private Duration deadline = Duration.ZERO;
    private String device = "auto";
    private Optional<List<Integer>> warmUp = Optional.empty();
    private long mostPixels = Long.MAX_VALUE;
    private Optional<Preprocessing> preprocessing = Optional.empty();

    private Builder() {}

    /** See {@link PredictorOptions#workers}. */
    public Builder workers(int value) {
      workers = value;
      return this;
    }

    /** See {@link PredictorOptions#threads}. */
    public Builder threads(int value) {
      threads = value;
      return this;
    }

    /** See {@link PredictorOptions#largestBatch}. */
    public Builder largestBatch(int value) {
      largestBatch = value;
      return this;
    }

    /** See {@link PredictorOptions#maxWait}. */
    public Builder maxWait(Duration value) {
      maxWait = value;
      return this;
    }

    /** See {@link PredictorOptions#queueCapacity}. */
    public Builder queueCapacity(int value) {
      queueCapacity = value;
      return this;
    }

    /** See {@link PredictorOptions#deadline}. */
    public Builder deadline(Duration value) {
      deadline = value;
      return this;
    }

    /** See {@link PredictorOptions#device}. */
    public Builder device(String value) {
      device = value;
      return this;
    }

    /** See {@link PredictorOptions#warmUp}; by default 1, and the largest. */
    public Builder warmUp(Integer... sizes) {
      warmUp = Optional.of(List.of(sizes));
      return this;
    }

    /** See {@link PredictorOptions#mostPixels}. */
    public Builder mostPixels(long value) {
      mostPixels = value;
      return this;
    }

    /** See {@link PredictorOptions#preprocessing}. */
    public Builder preprocessing(Preprocessing value) {
      preprocessing = Optional.of(value);
      return this;
    }

    /**
     * The options.
     *
     * @throws ActclipException bad input, naming the first value that is out of range
     */
    public PredictorOptions build() {
      return new PredictorOptions(
          workers,
          threads,
          largestBatch,
          maxWait,
          queueCapacity,
          deadline,
          device,
          warmUp.orElse(List.of(1, largestBatch)),
          mostPixels,
          preprocessing);
    }
  }
}
