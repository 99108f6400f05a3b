package io.github.actclip.op;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** Units in the last place. */
final class Ulp {

  private Ulp() {}

  static double of(ScalarType type, double value) {
    return switch (type) {
      case Double -> Math.ulp(value);
      case Float -> Math.ulp((float) value);
      case BFloat16 -> Math.ulp((float) value) * (1 << 16);
      case Half -> Math.ulp((float) value) * (1 << 13);
      default -> throw new AssertionError(type);
    };
  }
}
