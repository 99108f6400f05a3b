package io.github.actclip.samples.benchmark;

import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;

/**
 * Threads that each ask about one image after the other.
 *
 * @param count how many
 * @param asking makes what a caller does for an image; called by each of them
 */
record Callers(int count, Supplier<Runnable> asking) {

  /**
   * Asks about so many images, at least one a caller.
   *
   * @return the milliseconds that each took
   */
  double[] ask(int images) {
    return count == 1 ? askOneByOne(images) : askTogether(images);
  }

  private double[] askTogether(int images) {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    int each = Math.max(1, images / count);
    try {
      List<Future<double[]>> parts = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        parts.add(threads.submit(() -> askOneByOne(each)));
      }
      double[] all = new double[each * count];
      for (int i = 0; i < count; i++) {
        System.arraycopy(parts.get(i).get(), 0, all, i * each, each);
      }
      return all;
    } catch (InterruptedException | ExecutionException e) {
      throw ActclipException.failure(e, "a caller failed: %s", ActclipException.firstLine(e));
    } finally {
      threads.shutdown();
    }
  }

  private double[] askOneByOne(int images) {
    Runnable ask = asking.get();
    double[] millis = new double[images];
    for (int i = 0; i < images; i++) {
      long start = System.nanoTime();
      ask.run();
      millis[i] = (System.nanoTime() - start) / 1e6;
    }
    return millis;
  }

  /** Measures the milliseconds of all of them together, for each image. */
  double throughput(int images) {
    long start = System.nanoTime();
    int asked = ask(images).length;
    return (System.nanoTime() - start) / 1e6 / asked;
  }
}
