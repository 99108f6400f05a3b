package io.github.actclip.autograd;

import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * What backward functions throw during one call of {@link Autograd}. On the way through LibTorch an
 * exception becomes another, which has nothing of it but the text.
 */
final class Thrown implements AutoCloseable {

  private static final Set<Thrown> OPEN = ConcurrentHashMap.newKeySet();
  private static final ThreadLocal<Thrown> OF_THIS_THREAD = new ThreadLocal<>();

  /** LibTorch cuts the text off at 1,023 bytes of UTF-8, so at 341 characters or more. */
  private static final int COMPARED = 300;

  private final Thrown outer = OF_THIS_THREAD.get();
  private final Queue<Throwable> kept = new ConcurrentLinkedQueue<>();

  /** Keeps what backward functions throw from here until it is closed, by the same thread. */
  Thrown() {
    OF_THIS_THREAD.set(this);
    OPEN.add(this);
  }

  /** Keeps an exception for the call that it will end. */
  static void offer(Throwable thrown) {
    Thrown here = OF_THIS_THREAD.get();
    if (here != null) {
      here.kept.add(thrown);
    } else { // On a GPU backward runs on LibTorch's own threads.
      OPEN.forEach(open -> open.kept.add(thrown));
    }
  }

  /** Throws what arrived as {@code arrived} as it was thrown, if a backward function threw it. */
  void rethrow(RuntimeException arrived) {
    String text = beginning(arrived.getMessage());
    for (Throwable thrown : kept) {
      if (beginning(thrown.toString()).equals(text)) {
        if (thrown instanceof Error error) {
          throw error;
        }
        throw (RuntimeException) thrown;
      }
    }
  }

  /** How many calls are under way. */
  static int open() {
    return OPEN.size();
  }

  @Override
  public void close() {
    OPEN.remove(this);
    if (outer == null) {
      OF_THIS_THREAD.remove();
    } else {
      OF_THIS_THREAD.set(outer);
    }
  }

  private static String beginning(String text) {
    return text == null ? "" : text.substring(0, Math.min(text.length(), COMPARED));
  }
}
