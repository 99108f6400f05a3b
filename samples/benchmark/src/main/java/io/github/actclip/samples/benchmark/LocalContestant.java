package io.github.actclip.samples.benchmark;

import org.bytedeco.pytorch.Tensor;

/**
 * One in this process.
 *
 * @param pass does the work once, and frees what it makes
 * @param touched a tensor of the device; to read it waits until a GPU has done its work
 */
record LocalContestant(String name, Runnable pass, Tensor touched) implements Contestant {

  @Override
  public double measure(int passes) {
    long start = System.nanoTime();
    for (int i = 0; i < passes; i++) {
      pass.run();
    }
    if (touched.is_cuda()) {
      touched.item_float();
    }
    return (System.nanoTime() - start) / 1e6 / passes;
  }
}
