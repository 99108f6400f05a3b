package io.github.actclip.export;

import io.github.actclip.runtime.TensorScope;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * What codes of 8 bits without a sign stand for: u for {@code scale·(u − zero)}.
 *
 * @param low the least code that is used, 0 or more
 * @param high the largest, up to 255
 */
record Grid(double scale, int zero, int low, int high) {

  static final int MOST = 255;

  private static Grid between(double least, double most) {
    double scale = most > least ? (float) ((most - least) / MOST) : 1;
    return new Grid(scale, (int) Math.rint(-least / scale), 0, MOST);
  }

  /** Of 8 bits, over all of these values, and 0, which is exact; their scope owns what it makes. */
  static Grid over(Tensor values) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return between(
          Math.min(0, values.min().item_double()), Math.max(0, values.max().item_double()));
    }
  }

  /** Only what is within a sum when any number of another grid is added to it; and 0. */
  Grid within(Grid sum, Grid addend) {
    return between(
        Math.min(0, Math.max(least(), sum.least() - addend.most())),
        Math.max(0, Math.min(most(), sum.most() - addend.least())));
  }

  private double least() {
    return scale * (low - zero);
  }

  private double most() {
    return scale * (high - zero);
  }

  /** The same without what is below 0. */
  Grid rectified() {
    return new Grid(scale, zero, Math.max(low, zero), high);
  }

  /** Whether it leaves some of the 256 codes out. */
  boolean isNarrow() {
    return low > 0 || high < MOST;
  }

  /** The nearest of the 256 codes; ties round to the even one, as in ONNX. */
  int code(float value) {
    return Math.min(Math.max((int) Math.rint(value / (float) scale) + zero, 0), MOST);
  }

  /** Writes {@code QuantizeLinear}. */
  String quantize(OnnxGraph graph, String x) {
    return linear(graph, "QuantizeLinear", x);
  }

  /** Writes {@code DequantizeLinear}. */
  String dequantize(OnnxGraph graph, String codes) {
    return linear(graph, "DequantizeLinear", codes);
  }

  private String linear(OnnxGraph graph, String operation, String x) {
    return graph.node(
        operation,
        List.of(
            x, graph.scalar("scale", scale), graph.bytes("zero", false, new byte[] {(byte) zero})));
  }
}
