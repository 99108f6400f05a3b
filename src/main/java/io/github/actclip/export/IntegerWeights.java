package io.github.actclip.export;

import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/**
 * The codes of a quantized weight, a scale for each output channel, and the bias as it is.
 *
 * @param name of the weight
 * @param codes in the order of the shape, output channels first
 * @param scale above 0
 */
record IntegerWeights(String name, long[] shape, byte[] codes, double[] scale, double[] bias) {

  /** Of a channel that has nothing but its bias. */
  private static final double BIAS_STEPS = 1 << 30;

  /**
   * Those of a layer; in the caller's scope.
   *
   * @throws ActclipException bad input, when its weight is not quantized, or by another quantizer
   *     than integers have: with a sign, without an offset, of one scale or one for each output
   */
  static IntegerWeights of(String name, Module layer, Tensor weight, Tensor bias) {
    FakeQuantize quantizer =
        FakeQuantize.ofWeight(layer)
            .orElseThrow(
                () ->
                    ActclipException.badInput(
                        "%s is not quantized, as integers need it: train with bits for weights and"
                            + " activations, or export it in float32",
                        name));
    requireSymmetric(name, quantizer);
    double[] codes = TensorNumbers.of(quantizer.codes(weight));
    byte[] bytes = new byte[codes.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) codes[i];
    }
    double[] scales = TensorNumbers.of(quantizer.scale());
    double[] each = scales;
    if (scales.length == 1) {
      each = new double[(int) weight.size(0)];
      Arrays.fill(each, scales[0]);
    }
    return new IntegerWeights(name, weight.shape(), bytes, each, Affine.bias(weight, bias));
  }

  private static void requireSymmetric(String name, FakeQuantize quantizer) {
    boolean shifts = Arrays.stream(TensorNumbers.of(quantizer.offset())).anyMatch(o -> o != 0);
    boolean isOfOutputs = quantizer.options().channels() == 1 || quantizer.axis() == 0;
    if (shifts || !quantizer.options().signed() || !isOfOutputs) {
      throw ActclipException.badInput(
          "the quantizer of %s (%s) has an offset, no sign, or scales of something else than output"
              + " channels: integers take PACT's, LSQ's and TQT's with a sign",
          name, quantizer.options());
    }
  }

  /**
   * The same with something behind it, which scales and biases take in. Where it turns the sign,
   * codes do; −128, which has no opposite, becomes 127.
   */
  IntegerWeights then(ChannelMap map) {
    byte[] turned = codes.clone();
    double[] scaled = new double[scale.length];
    int perChannel = codes.length / scale.length;
    for (int c = 0; c < scaled.length; c++) {
      double factor = map.factor()[c];
      scaled[c] = factor == 0 ? scale[c] : scale[c] * Math.abs(factor);
      for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
        turned[i] = (byte) Math.min(codes[i] * Math.signum(factor), Byte.MAX_VALUE);
      }
    }
    return new IntegerWeights(name, shape, turned, scaled, map.of(bias));
  }

  /**
   * The same without channels whose bias is so many steps of their scale that all their weights are
   * nothing beside it, as those of an LSQ scale that training has driven to its least value: their
   * codes are 0.
   *
   * @param input the scale of what the weights are multiplied by
   */
  IntegerWeights withoutDead(double input) {
    byte[] alive = codes.clone();
    double[] raised = scale.clone();
    int perChannel = codes.length / scale.length;
    for (int c = 0; c < raised.length; c++) {
      double large = Math.abs(bias[c]) / (input * BIAS_STEPS);
      if (2 * -Byte.MIN_VALUE * scale[c] < large) {
        raised[c] = large;
        Arrays.fill(alive, c * perChannel, (c + 1) * perChannel, (byte) 0);
      }
    }
    return new IntegerWeights(name, shape, alive, raised, bias);
  }

  /**
   * The bias in whole steps of the sums.
   *
   * @param input the scale of what the weights are multiplied by
   * @throws ActclipException bad input, when a sum could be more than 32 bits hold
   */
  int[] bias(double input) {
    int[] steps = new int[bias.length];
    int perChannel = codes.length / steps.length;
    for (int c = 0; c < steps.length; c++) {
      double wanted = Math.rint(bias[c] / (input * scale[c]));
      double most = Math.abs(wanted);
      for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
        most += Grid.MOST * Math.abs(codes[i]);
      }
      if (!(most <= Integer.MAX_VALUE)) {
        throw ActclipException.badInput(
            "channel %d of %s may add up to %.3g steps of its scale (%.3g), its bias (%.3g) among"
                + " them, and 32 bits hold %d: its scale is too small",
            c, name, most, input * scale[c], bias[c], Integer.MAX_VALUE);
      }
      steps[c] = (int) wanted;
    }
    return steps;
  }

  /** What 1 stands for in each channel of the sums. */
  double[] sums(double input) {
    return Arrays.stream(scale).map(s -> input * s).toArray();
  }

  /** Writes what such an operation takes: its input, the weights and the bias, as floats. */
  List<String> operands(OnnxGraph graph, Grid input, String x) {
    return List.of(input.dequantize(graph, x), write(graph), writeBias(graph, input.scale()));
  }

  /** Writes {@code DequantizeLinear} of the codes. */
  private String write(OnnxGraph graph) {
    int channels = scale.length;
    String w = graph.bytes(name, true, codes, shape);
    String scales = graph.floats(name + ".scale", scale, channels);
    String zeros = graph.bytes(name + ".zero", true, new byte[channels], channels);
    return graph.node("DequantizeLinear", List.of(w, scales, zeros), OnnxGraph.number("axis", 0));
  }

  /** Writes {@code DequantizeLinear} of the bias. */
  private String writeBias(OnnxGraph graph, double input) {
    int channels = scale.length;
    String biasName = name.replaceFirst("weight$", "bias");
    String b = graph.ints(biasName, bias(input), channels);
    String scales = graph.floats(biasName + ".scale", sums(input), channels);
    return graph.node("DequantizeLinear", List.of(b, scales), OnnxGraph.number("axis", 0));
  }
}
