package io.github.actclip.train;

/** What the time of a step goes into. */
public enum Phase {
  /** Waiting for the batch, and moving it to the device. */
  DATA,
  /** The network and the loss. */
  FORWARD,
  /** The gradients. */
  BACKWARD,
  /** The update of the parameters. */
  OPTIMIZER,
  /** Metrics and listeners. */
  OTHER
}
