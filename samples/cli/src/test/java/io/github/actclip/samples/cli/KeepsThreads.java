package io.github.actclip.samples.cli;

import io.github.actclip.runtime.LibTorch;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Gives the process back the threads that it had before a test set others. */
final class KeepsThreads implements BeforeEachCallback, AfterEachCallback {

  private int threads;

  @Override
  public void beforeEach(ExtensionContext context) {
    threads = LibTorch.threads();
  }

  @Override
  public void afterEach(ExtensionContext context) {
    LibTorch.setThreads(threads);
  }
}
