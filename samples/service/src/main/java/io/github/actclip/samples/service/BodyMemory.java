package io.github.actclip.samples.service;

import java.util.concurrent.atomic.AtomicLong;

/** How many bytes of bodies are in memory, of all requests together. Thread-safe. */
final class BodyMemory {

  private final long most;
  private final AtomicLong held = new AtomicLong();

  BodyMemory(long most) {
    this.most = most;
  }

  /** Takes room for so many more; false, and none is taken, where there is not as much. */
  boolean take(int bytes) {
    if (held.addAndGet(bytes) <= most) {
      return true;
    }
    release(bytes);
    return false;
  }

  void release(long bytes) {
    held.addAndGet(-bytes);
  }
}
