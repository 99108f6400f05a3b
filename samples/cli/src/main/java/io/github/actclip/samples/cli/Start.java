package io.github.actclip.samples.cli;

import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.DataLoader;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * What a network that is to be trained starts from; it is on the CPU yet.
 *
 * @param images of the training, for thresholds that start from the first batch
 */
record Start(Network network, Supplier<DataLoader> images) {

  private static final Logger LOG = LogManager.getLogger(Start.class);

  /** Sets all thresholds from the images. */
  void calibrate(Calibration how) {
    try (BatchIterator batches = images.get().iterator()) {
      Batch first = batches.next();
      TensorScope.run(() -> network.calibrate(first.data(), how));
    }
  }

  /**
   * Takes the weights of a file.
   *
   * @param forced how all thresholds are set then, be they in the file or not
   * @param otherwise how they are set where they are not
   */
  void load(Path file, Optional<Calibration> forced, Optional<Calibration> otherwise) {
    thresholds(file, new TrainedWeights(file).start(network), forced, otherwise);
  }

  /**
   * Sets the thresholds of a network whose other weights are trained.
   *
   * @param file where those are from
   * @param missing the names of the thresholds that it has no value for
   * @param forced how all thresholds are set, be they in the file or not
   * @param otherwise how they are set where some are missing
   */
  void thresholds(
      Path file,
      Collection<String> missing,
      Optional<Calibration> forced,
      Optional<Calibration> otherwise) {
    Optional<Calibration> how = forced.isPresent() || missing.isEmpty() ? forced : otherwise;
    network.eval(); // Running statistics stay as they were trained.
    how.ifPresent(this::calibrate);
    network.train(true);
    if (!missing.isEmpty()) {
      LOG.info(
          "{} has no value for {} thresholds; on activations, they start {}",
          file,
          missing.size(),
          how.map(Start::text).orElse("at a fixed value"));
    }
  }

  private static String text(Calibration how) {
    return "from the first batch (--calibrate " + how.name().toLowerCase(Locale.ROOT) + ")";
  }
}
