package io.github.actclip.op;

import io.github.actclip.testing.Cuda;
import org.junit.jupiter.api.BeforeEach;

/** The clips composed of LibTorch's operations, where there is a GPU. */
class ComposedBackendOnCudaTest extends ComposedBackendTest {

  @BeforeEach
  void needCuda() {
    Cuda.assumeAvailable();
  }

  @Override
  String device() {
    return "cuda";
  }
}
