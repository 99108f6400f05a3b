package io.github.actclip.export;

import io.github.actclip.data.Normalization;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * A network of quantizers in integers alone, in plain Java: what hardware with fixed-point
 * arithmetic is to compute. Activations are codes of 8 bits without a sign, weights of 8 bits with
 * one, sums have 32 bits, and become codes again by {@code (sum·multiplier + 2^(shift−1)) >>
 * shift}, which saturates. Batch normalisation is a part of the scales and biases. For speed,
 * export it with {@link Onnx}.
 *
 * <pre>{@code
 * IntegerNetwork integers = IntegerNetwork.of(net, calibration);
 * int label = integers.classOf(pixels);
 * }</pre>
 *
 * <p>Immutable and thread-safe; it holds nothing of the network.
 */
public final class IntegerNetwork {

  private final long[] shape;
  private final Grid input;
  private final List<IntegerGraph.Step> steps;
  private final IntegerOperation output;
  private final int[] outputInputs;
  private final int outputRank;
  private final double outputScale;

  private IntegerNetwork(
      long[] shape,
      Grid input,
      List<IntegerGraph.Step> steps,
      IntegerOperation output,
      int[] outputInputs,
      int outputRank) {
    this.shape = shape;
    this.input = input;
    this.steps = List.copyOf(steps);
    this.output = output;
    this.outputInputs = outputInputs;
    this.outputRank = outputRank;
    outputScale = Arrays.stream(output.scales()).max().orElseThrow();
  }

  /**
   * Plans a network that was trained with PACT's, LSQ's or TQT's quantizers of weights and
   * activations, as it is now.
   *
   * @param network one that describes itself, such as those of {@code nn.models}; not used by
   *     anyone else meanwhile
   * @param calibration some samples (B, …) of its data, as its forward pass takes them, such as 64
   *     of the training; all activations of theirs are in memory at once. What the network does not
   *     quantize itself, its input among that, gets a scale of 8 bits from them.
   * @throws ActclipException bad input, when the network does not describe itself, when a layer is
   *     not quantized, or by a {@link FakeQuantize} with an offset or with a scale for each channel
   *     of activations, or when a bias is more than 32 bits in its scale
   */
  public static IntegerNetwork of(Network network, Tensor calibration) {
    Arguments.requireTensor("the data to calibrate with", calibration);
    long[] tried = calibration.shape();
    boolean isFull = tried.length > 1 && calibration.numel() > 0;
    if (!isFull || !calibration.is_floating_point() || !calibration.isfinite().all().item_bool()) {
      throw ActclipException.badInput(
          "the data to calibrate with, of shape %s, must be (B, …) with one sample at least, of"
              + " finite numbers",
          Arrays.toString(tried));
    }
    tried[0] = Math.min(tried[0], 2);
    return Description.inEvaluation(network, tried, () -> plan(network, calibration));
  }

  private static IntegerNetwork plan(Network network, Tensor calibration) {
    IntegerGraph graph = new IntegerGraph(new WeightsByName(network));
    IntegerValue in = graph.input(calibration);
    IntegerValue out = network.describe(graph, in);
    IntegerValue.Call last = graph.output(out);
    long[] shape = calibration.shape();
    return new IntegerNetwork(
        Arrays.copyOfRange(shape, 1, shape.length),
        Grid.over(calibration),
        graph.steps(),
        last.operation(),
        last.inputs(),
        (int) out.samples().dim());
  }

  /** The shape of one sample. */
  public long[] shape() {
    return shape.clone();
  }

  /**
   * Computes the logits of one sample, in order (C, H, W), as whole numbers of which 1 stands for
   * {@link #scale}.
   *
   * @param sample as the network takes it; rounded to codes of 8 bits
   * @throws ActclipException bad input, when it has another size than {@link #shape}
   */
  public long[] logits(float[] sample) {
    Codes sums = sums(sample);
    double[] scales = output.scales();
    long[] logits = new long[sums.values().length];
    for (int i = 0; i < logits.length; i++) {
      double scale = scales[scales.length == 1 ? 0 : i / sums.plane()];
      logits[i] = Multiplier.of(scale / scale()).times(sums.values()[i]);
    }
    return logits;
  }

  /** What 1 of {@link #logits} stands for. */
  public double scale() {
    return outputScale;
  }

  /** The index of the largest logit; of equal ones, of the first. */
  public int classOf(float[] sample) {
    long[] logits = logits(sample);
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return best;
  }

  private Codes sums(float[] sample) {
    long size = Arrays.stream(shape).reduce(1, Math::multiplyExact);
    if (sample.length != size) {
      throw ActclipException.badInput(
          "the sample has %d numbers, and the network takes %s",
          sample.length, Arrays.toString(shape));
    }
    Codes[] places = new Codes[steps.size() + 1];
    places[0] = codes(sample);
    for (int i = 0; i < steps.size(); i++) {
      IntegerGraph.Step step = steps.get(i);
      places[i + 1] = step.layer().run(at(places, step.inputs()));
    }
    return output.sums(at(places, outputInputs));
  }

  private static Codes[] at(Codes[] places, int... inputs) {
    return Arrays.stream(inputs).mapToObj(place -> places[place]).toArray(Codes[]::new);
  }

  private Codes codes(float[] sample) {
    int[] codes = new int[sample.length];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = input.code(sample[i]);
    }
    int height = shape.length > 1 ? (int) shape[1] : 1;
    int width = shape.length > 2 ? (int) shape[2] : 1;
    return new Codes((int) shape[0], height, width, codes);
  }

  /** Writes it as operations on floats between quantizers; gives the name of the output. */
  String write(OnnxGraph graph, OnnxOptions options) {
    String[] places = new String[steps.size() + 1];
    places[0] =
        options.bytes() && Normalization.none().equals(options.normalization()) && isOfPixels()
            ? OnnxGraph.INPUT
            : input.quantize(graph, Onnx.preprocess(graph, options));
    for (int i = 0; i < steps.size(); i++) {
      IntegerGraph.Step step = steps.get(i);
      places[i + 1] = step.layer().write(graph, at(places, step.inputs()));
    }
    return output.write(graph, at(places, outputInputs));
  }

  private static String[] at(String[] places, int... inputs) {
    return Arrays.stream(inputs).mapToObj(place -> places[place]).toArray(String[]::new);
  }

  /** Whether its codes are the pixels themselves, of which 255 is 1. */
  private boolean isOfPixels() {
    return input.zero() == 0 && input.scale() == 1 / 255f;
  }

  int outputRank() {
    return outputRank;
  }
}
