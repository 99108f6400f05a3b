package io.github.actclip.samples.service;

import io.github.actclip.infer.Predictor;

/**
 * What a service answers with.
 *
 * @param predictor of the network
 * @param clips of the same
 */
record Model(Predictor predictor, ClipView clips) implements AutoCloseable {

  @Override
  public void close() {
    predictor.close();
    clips.close();
  }
}
