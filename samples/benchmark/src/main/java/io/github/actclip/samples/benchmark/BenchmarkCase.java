package io.github.actclip.samples.benchmark;

import io.github.actclip.optim.Precision;
import java.util.Locale;

/**
 * What contestants do at one size.
 *
 * @param size images of a batch, elements of a tensor, or callers
 * @param threads of one operation
 * @param model the network, as {@code --model} names it
 */
record BenchmarkCase(Part part, int size, int threads, Precision precision, String model) {

  /** What is measured. */
  enum Part {
    /** A training step: forward, backward, SGD. */
    STEP,
    /** Forward without gradients. */
    FORWARD,
    /** Forward of one image at a time, for so many callers as the size says. */
    PREDICT,
    /** ReLU and clip, forward and backward. */
    CLIP,
    /** A training's step with its data and bookkeeping, beside steps with the same images. */
    DATA,
    /** A process, from its start to its end. */
    START_UP,
    /** A training step's time and memory an image, in ever larger batches and images. */
    SCALING;

    /** As the command line has it. */
    @Override
    public String toString() {
      return lower(this).replace('_', '-');
    }
  }

  /** As the command line has it. */
  static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
