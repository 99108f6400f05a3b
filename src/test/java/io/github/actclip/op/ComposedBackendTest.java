package io.github.actclip.op;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** The clips composed of LibTorch's operations. */
class ComposedBackendTest extends ClipBackendContract {

  private final ClipBackend composed = new ComposedBackend();

  @Override
  ClipBackend backend() {
    return composed;
  }

  /** LibTorch sums in the dtype of what is summed, float32 at least. */
  @Override
  double tolerance(ScalarType of, ScalarType type, double sum, double absolute) {
    double additions = of == ScalarType.Double ? 1e-14 : 1e-5;
    return additions * absolute + Ulp.of(type, sum);
  }
}
