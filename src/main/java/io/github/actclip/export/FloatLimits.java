package io.github.actclip.export;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.TensorNumbers;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/** Writes clips and quantizers in float32, with their thresholds as constants. */
final class FloatLimits {

  private static final String NONE = "";

  private final OnnxGraph graph;

  FloatLimits(OnnxGraph graph) {
    this.graph = graph;
  }

  FloatValue clip(Clip clip, FloatValue x) {
    return switch (clip.form()) {
      case NONE -> x;
      case TIED, IN_PLACE -> x.rectified().map(of -> between(clip, of)).orElse(below(clip, x));
      case RELU -> between(clip, x);
      default -> FloatValue.of(x.rank(), () -> other(clip, x));
    };
  }

  /** From 0 to the threshold. */
  private FloatValue between(Clip clip, FloatValue x) {
    return FloatValue.of(
        x.rank(), () -> clamp(x.name(), graph.scalar("zero", 0), threshold(clip, 0, x), clip));
  }

  private FloatValue below(Clip clip, FloatValue x) {
    return FloatValue.of(x.rank(), () -> clamp(x.name(), NONE, threshold(clip, 0, x), clip));
  }

  /** {@code Clip} takes single numbers only. */
  private String clamp(String x, String low, String high, Clip clip) {
    if (clip.upper().numel() == 1) {
      return graph.node("Clip", List.of(x, low, high));
    }
    String bounded = low.equals(NONE) ? x : graph.node("Max", List.of(x, low));
    return graph.node("Min", List.of(bounded, high));
  }

  private String other(Clip clip, FloatValue x) {
    String first = threshold(clip, 0, x);
    return switch (clip.form()) {
      case TWO_SIDED -> clamp(x.name(), threshold(clip, 1, x), first, clip);
      case UNTIED -> where(x.name(), first, threshold(clip, 1, x), x.name());
      case SOFT -> soft(clip.options().beta(), x.name(), first);
      default -> generalizedRelu(clip, x, first);
    };
  }

  /** t − softplus(β(t − x))/β. */
  private String soft(double beta, String x, String top) {
    String sharpness = graph.scalar("beta", beta);
    String room = graph.node("Mul", List.of(graph.node("Sub", List.of(top, x)), sharpness));
    String below = graph.node("Div", List.of(graph.node("Softplus", List.of(room)), sharpness));
    return graph.node("Sub", List.of(top, below));
  }

  /** x + bias above the cut, else 0. */
  private String generalizedRelu(Clip clip, FloatValue x, String bias) {
    String cut = constant("cut", clip.upper(), clip.axis(), x);
    String shifted = graph.node("Add", List.of(x.name(), bias));
    return where(x.name(), cut, shifted, graph.scalar("zero", 0));
  }

  /** {@code above} where x is above the cut, else {@code below}. */
  private String where(String x, String cut, String above, String below) {
    return graph.node("Where", List.of(graph.node("Greater", List.of(x, cut)), above, below));
  }

  /** round((x − β)/s), from the least to the largest code, ·s + β. */
  FloatValue fakeQuantize(FakeQuantize quantizer, FloatValue x) {
    return FloatValue.of(x.rank(), () -> write(quantizer, x));
  }

  private String write(FakeQuantize quantizer, FloatValue x) {
    Tensor offsets = quantizer.offset();
    boolean shifts = Arrays.stream(TensorNumbers.of(offsets)).anyMatch(offset -> offset != 0);
    int axis = quantizer.axis();
    String scale = constant("scale", quantizer.scale(), axis, x);
    String offset = shifts ? constant("offset", offsets, axis, x) : NONE;
    String y = shifts ? graph.node("Sub", List.of(x.name(), offset)) : x.name();
    y = graph.node("Round", List.of(graph.node("Div", List.of(y, scale))));
    String low = graph.scalar("low", quantizer.options().low());
    String high = graph.scalar("high", quantizer.options().high());
    y = graph.node("Mul", List.of(graph.node("Clip", List.of(y, low, high)), scale));
    return shifts ? graph.node("Add", List.of(y, offset)) : y;
  }

  private String threshold(Clip clip, int index, FloatValue x) {
    Threshold threshold = clip.thresholds().get(index);
    return constant(threshold.name(), threshold.value(), clip.axis(), x);
  }

  /** A single number, or one for each channel, in a shape that broadcasts to that of x. */
  private String constant(String name, Tensor values, int axis, FloatValue x) {
    double[] numbers = TensorNumbers.of(values);
    if (numbers.length == 1) {
      return graph.scalar(name, numbers[0]);
    }
    long[] shape = new long[x.rank() - (axis < 0 ? axis + x.rank() : axis)];
    Arrays.fill(shape, 1);
    shape[0] = numbers.length;
    return graph.floats(name, numbers, shape);
  }
}
