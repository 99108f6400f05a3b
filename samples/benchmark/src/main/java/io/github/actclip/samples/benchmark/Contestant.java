package io.github.actclip.samples.benchmark;

/** Something whose time is measured beside that of others. */
interface Contestant extends AutoCloseable {

  /** Who it is, with a version where that matters. */
  String name();

  /** Milliseconds a pass, over that many passes. */
  double measure(int passes);

  @Override
  default void close() {}
}
