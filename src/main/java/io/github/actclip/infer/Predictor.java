package io.github.actclip.infer;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.SampleReader;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Uninterrupted;
import java.awt.image.BufferedImage;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A trained network that any number of threads may ask, virtual ones too:
 *
 * <pre>{@code
 * try (Predictor predictor = Predictor.load(Path.of("runs/mine"), Classifier::new)) {
 *   Prediction prediction = predictor.predict(Path.of("cat.jpg"));
 *   String label = prediction.top().label();
 * }
 * }</pre>
 *
 * <p>What is asked about is brought into the form of the training's test data, on the thread that
 * asks: what is wrong with it is said there, and touches nobody else. It then waits in a queue. A
 * fixed number of threads of the predictor's own take what waits, all of it up to the largest
 * batch, compute it together, and wake those that asked.
 *
 * <p>The network is in evaluation mode and records no gradients. A prediction has the bits that
 * {@code Evaluator} computes from the same samples in a batch of the same size and order, on the
 * same number of threads; in batches of other sizes, LibTorch sums in another order, and the last
 * digits of float32 differ.
 *
 * <p>Thread-safe. Whoever waits for a prediction is not interrupted: an interrupt is still there
 * afterwards. A predictor that is not closed lasts until the JVM ends.
 */
public final class Predictor implements AutoCloseable {

  private final Function<Path, Weights> loader;
  private final PredictorOptions options;
  private final SampleReader reader;
  private final Pool pool;

  /** On a platform thread. */
  private Predictor(Weights weights, Function<Path, Weights> loader, PredictorOptions options) {
    this.loader = loader;
    this.options = options;
    reader = new SampleReader(weights.preprocessing(), options.mostPixels());
    pool = new Pool(weights, reader, options);
  }

  /**
   * Loads weights with the default options.
   *
   * @see #load(Path, Supplier, PredictorOptions)
   */
  public static Predictor load(Path path, Supplier<? extends Network> network) {
    return load(path, network, PredictorOptions.defaults());
  }

  /**
   * Loads weights, and computes the batches of the warm-up: what it returns is ready.
   *
   * @param path the folder of a {@link io.github.actclip.report.Run}, or a file of weights that
   *     {@link io.github.actclip.io.StateDict#read} reads
   * @param network makes the network that they are of, a new one each time, on another thread; the
   *     predictor owns it
   * @throws ActclipException bad input, when there are no such weights, they are of another
   *     network, nothing says what was done to the data, or the network cannot take such data
   */
  public static Predictor load(
      Path path, Supplier<? extends Network> network, PredictorOptions options) {
    Function<Path, Weights> loader = from -> Weights.load(from, network, options);
    return Uninterrupted.call(() -> new Predictor(loader.apply(path), loader, options));
  }

  /**
   * Serves a network that is there already. It is put on the options' device, into evaluation mode,
   * and its convolutions' weights into channels-last.
   *
   * @param network stays the caller's, who must not change, use or close it before the predictor is
   *     closed
   * @param options with a {@link PredictorOptions#preprocessing}
   * @throws ActclipException bad input, when there is none, or the network cannot take such data
   */
  public static Predictor of(Network network, PredictorOptions options) {
    Function<Path, Weights> none =
        path -> {
          throw ActclipException.badInput(
              "this predictor was given a network and cannot make another one for %s: use"
                  + " Predictor.load",
              path);
        };
    return Uninterrupted.call(() -> new Predictor(Weights.of(network, options), none, options));
  }

  /**
   * Makes a sample of values as they are before normalisation, pixels from 0 to 1, in the order of
   * {@link Preprocessing#shape}: (C, H, W) of images, as PyTorch has them. NaN and infinity are
   * values, too.
   *
   * @throws ActclipException bad input, when they are not as many as the shape says
   */
  public Sample sample(float... values) {
    return sample(FloatBuffer.wrap(values));
  }

  /**
   * The same of a buffer's values from its position to its limit, which stay as they are.
   *
   * @throws ActclipException likewise
   */
  public Sample sample(FloatBuffer values) {
    return new Sample(reader, reader.read(values));
  }

  /**
   * Makes a sample of the pixels of an image of the network's size, 0 to 255, row by row, each
   * pixel's channels together (H, W, C): as cameras and {@code DataBufferByte} have them, red
   * first.
   *
   * @param pixels from its position to its limit, which stay as they are
   * @throws ActclipException bad input, when they are not as many, or the network takes no images
   */
  public Sample sample(ByteBuffer pixels) {
    return new Sample(reader, reader.read(pixels));
  }

  /**
   * Makes a sample of an image, of any size where the training resized its own.
   *
   * @param image upright; of whole numbers of at most 16 bits a channel
   * @throws ActclipException bad input, when it is another one, has too many pixels, or the network
   *     takes no images
   */
  public Sample sample(BufferedImage image) {
    return new Sample(reader, reader.read(image));
  }

  /**
   * Decodes an image as an {@link io.github.actclip.data.ImageFolder} does: formats, EXIF
   * orientation, grey, 16 bits.
   *
   * @param image is read to its end, and not closed
   * @throws ActclipException bad input, when it is none, is damaged or too large, or the network
   *     takes no images; a failure, when the stream cannot be read
   */
  public Sample sample(InputStream image) {
    return new Sample(reader, reader.read(image));
  }

  /**
   * Decodes an image's file, likewise.
   *
   * @throws ActclipException likewise
   */
  public Sample sample(Path image) {
    return new Sample(reader, reader.read(image));
  }

  /** Asks about {@link #sample(float...)}: see {@link #predict(Sample)}. */
  public Prediction predict(float... values) {
    return predict(sample(values));
  }

  /** Asks about {@link #sample(FloatBuffer)}: see {@link #predict(Sample)}. */
  public Prediction predict(FloatBuffer values) {
    return predict(sample(values));
  }

  /** Asks about {@link #sample(ByteBuffer)}: see {@link #predict(Sample)}. */
  public Prediction predict(ByteBuffer pixels) {
    return predict(sample(pixels));
  }

  /** Asks about {@link #sample(BufferedImage)}: see {@link #predict(Sample)}. */
  public Prediction predict(BufferedImage image) {
    return predict(sample(image));
  }

  /** Asks about {@link #sample(InputStream)}: see {@link #predict(Sample)}. */
  public Prediction predict(InputStream image) {
    return predict(sample(image));
  }

  /** Asks about {@link #sample(Path)}: see {@link #predict(Sample)}. */
  public Prediction predict(Path image) {
    return predict(sample(image));
  }

  /**
   * Asks about a sample, and waits.
   *
   * @param sample of this predictor
   * @throws ActclipException of a {@link ActclipException#kind}: FULL, when too many wait already;
   *     TOO_LATE, when its deadline is over; CLOSED, when this was closed; BAD_INPUT, when it is
   *     another predictor's; FAILURE, when the network fails
   */
  public Prediction predict(Sample sample) {
    Request request = request(sample);
    pool.submit(List.of(request));
    return pool.await(request);
  }

  /**
   * Asks about a sample.
   *
   * @param sample of this predictor
   * @return ends with the prediction, or with an exception as {@link #predict(Sample)} throws it;
   *     what follows it runs on {@link java.util.concurrent.ForkJoinPool#commonPool}, or where it
   *     says itself. Nobody looks at the deadline while it is computed
   * @throws ActclipException FULL, CLOSED or BAD_INPUT, at once
   */
  public CompletableFuture<Prediction> predictAsync(Sample sample) {
    Request request = request(sample);
    pool.submit(List.of(request));
    // On another thread: one of ours that waited for a prediction would wait for itself.
    CompletableFuture<Prediction> handed = new CompletableFuture<>();
    request
        .result()
        .whenCompleteAsync(
            (prediction, failure) -> {
              if (failure == null) {
                handed.complete(prediction);
              } else {
                handed.completeExceptionally(failure);
              }
            });
    return handed;
  }

  /**
   * Asks about many samples, in batches of the largest size, and waits; it fills the queue only as
   * far as it keeps the threads busy. Where nobody else asks, these are the batches that are
   * computed.
   *
   * @param samples of this predictor
   * @return in their order
   * @throws ActclipException as {@link #predict(Sample)}, the first of them, after all have ended
   */
  public List<Prediction> predictAll(List<Sample> samples) {
    int batch = Math.min(options.largestBatch(), options.queueCapacity());
    int ahead = batch * Math.min(options.workers() + 1, options.queueCapacity() / batch);
    List<Request> requests = new ArrayList<>();
    for (int from = 0; from < samples.size(); from += batch) {
      if (from >= ahead) {
        requests.subList(from - ahead, from - ahead + batch).forEach(pool::awaitEnd);
      }
      int to = Math.min(from + batch, samples.size());
      List<Request> next = samples.subList(from, to).stream().map(this::request).toList();
      pool.submit(next);
      requests.addAll(next);
    }
    requests.forEach(pool::awaitEnd);
    return requests.stream().map(Request::prediction).toList();
  }

  private Request request(Sample sample) {
    if (!sample.isOf(reader)) {
      throw ActclipException.badInput(
          "the sample was made by another predictor: make it by sample(…) of this one");
    }
    return new Request(sample, options.deadline().toNanos());
  }

  /**
   * Takes other weights, such as those of a newer training, while it goes on answering: each batch
   * is computed by one of the two, with its normalisation and its names of classes, and none is
   * lost. The old network is let go after its last batch.
   *
   * @param path as in {@link #load}, with a network of the same supplier
   * @throws ActclipException bad input, as there, and when they are of data of another shape or of
   *     images that are seen in another way; CLOSED, when this was closed; the old weights stay
   *     then
   */
  public void swap(Path path) {
    Uninterrupted.call(
        () -> {
          pool.swap(loader.apply(path));
          return null;
        });
  }

  /** What is done to a sample, and what the outputs are called; after a swap, that of the new. */
  public Preprocessing preprocessing() {
    return pool.preprocessing();
  }

  /** Has somebody hear of what is done from now on, such as {@link PredictorMetrics}. */
  public void listen(PredictorListener listener) {
    pool.listen(listener);
  }

  /** Whether it answers: it is warm, and nobody has begun to close it. */
  public boolean isReady() {
    return !pool.isClosed();
  }

  /** How many samples wait for a thread. */
  public int waiting() {
    return pool.waiting();
  }

  /**
   * Bytes of native memory that it holds for weights and batches; LibTorch needs more for a while.
   */
  public long nativeBytes() {
    return pool.nativeBytes();
  }

  /** Takes no more samples, answers those that wait, and frees the network. */
  @Override
  public void close() {
    pool.close();
  }
}
