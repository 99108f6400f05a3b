package io.github.actclip.autograd;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Gradients;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** What a limit may take the place of, and a gradient of its output, anew for each test. */
abstract class InPlaceInputs {

  static {
    LibTorch.load();
  }

  static final long ENOUGH = 24_000;

  TensorScope scope;
  Tensor leaf;
  Tensor t;
  Tensor g;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(89);
    leaf = Gradients.leaf(torch.randn(ENOUGH));
    t = Gradients.leaf(Tensor.create(0.05f));
    g = torch.randn(ENOUGH);
  }

  @AfterEach
  void close() {
    scope.close();
  }
}
