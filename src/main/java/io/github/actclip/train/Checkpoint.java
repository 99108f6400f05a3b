package io.github.actclip.train;

/** Placeholder. */
public final class Checkpoint {
  void restore(Training training) {}
}
