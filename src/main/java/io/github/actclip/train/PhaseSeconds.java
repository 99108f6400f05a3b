package io.github.actclip.train;

/**
 * What the time of an epoch's training went into, in seconds. On a GPU it is the time to launch the
 * work, since nothing waits for the device: what is slow there shows in the phase that waits next.
 *
 * @param data waiting for batches, and moving them to the device
 * @param forward the network and the loss
 * @param backward the gradients
 * @param optimizer the update of the parameters
 * @param other metrics and listeners
 */
public record PhaseSeconds(
    double data, double forward, double backward, double optimizer, double other) {

  /** None. */
  public static final PhaseSeconds ZERO = new PhaseSeconds(0, 0, 0, 0, 0);

  /** Those of one phase. */
  public double of(Phase phase) {
    return switch (phase) {
      case DATA -> data;
      case FORWARD -> forward;
      case BACKWARD -> backward;
      case OPTIMIZER -> optimizer;
      case OTHER -> other;
    };
  }

  /** All of it. */
  public double total() {
    return data + forward + backward + optimizer + other;
  }
}
