package io.github.actclip.export;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.github.actclip.data.Normalization;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Writes files of ONNX, which many runtimes run: {@code Onnx.export(net, Path.of("net.onnx"),
 * OnnxOptions.of(3, 32, 32))}.
 *
 * <p>A model takes {@code input}, (N, …) float32 for any number N of samples, and gives {@code
 * output}, float32. It needs {@code org.tribuo:tribuo-util-onnx} on the class path.
 */
public final class Onnx {

  /** How many samples the description of a network is tried on. */
  private static final long TRIED = 2;

  private Onnx() {}

  /**
   * Writes a network in float32, as it computes outside of training: thresholds and weights as they
   * are now, batch normalisation behind a convolution as a part of it.
   *
   * @param network one that describes itself, such as those of {@code nn.models}; on any device,
   *     and not used by anyone else meanwhile
   * @param file is replaced where it is there
   * @throws ActclipException bad input, when the network does not describe itself, or describes
   *     another one than it is, when a layer cannot be exported, or the weights are 2 GB or more; a
   *     failure, when the file cannot be written
   */
  public static void export(Network network, Path file, OnnxOptions options) {
    Objects.requireNonNull(options, "options");
    withOnnx(
        () ->
            Description.inEvaluation(
                network, options.batch(TRIED), () -> write(network, file, options)));
  }

  /**
   * Writes a network in integers, as operations between {@code QuantizeLinear} and {@code
   * DequantizeLinear} that ONNX Runtime fuses into ones of 8 bits. Input and output are floats, or
   * of pixels that are no floats, bytes.
   *
   * @param options of the shape that the network was calibrated with
   * @throws ActclipException bad input, when that is another; a failure, when the file cannot be
   *     written
   */
  public static void export(IntegerNetwork network, Path file, OnnxOptions options) {
    Objects.requireNonNull(options, "options");
    if (!Arrays.equals(
        options.batch(1),
        1,
        options.shape().size() + 1,
        network.shape(),
        0,
        network.shape().length)) {
      throw ActclipException.badInput(
          "samples of the shape %s are asked for, and the network was calibrated with %s",
          options.shape(), Arrays.toString(network.shape()));
    }
    withOnnx(
        () -> {
          OnnxGraph graph = new OnnxGraph();
          String output = network.write(graph, options);
          graph.write(file, options, output, network.outputRank());
        });
  }

  private static Path write(Network network, Path file, OnnxOptions options) {
    OnnxGraph graph = new OnnxGraph();
    FloatValue input = FloatValue.of(options.shape().size() + 1, () -> preprocess(graph, options));
    FloatValue output = network.describe(new FloatGraph(graph, new WeightsByName(network)), input);
    graph.write(file, options, output.name(), output.rank());
    return file;
  }

  /** From what the model takes to what the network takes. */
  static String preprocess(OnnxGraph graph, OnnxOptions options) {
    String x = OnnxGraph.INPUT;
    if (options.bytes()) {
      x = graph.node("Cast", List.of(x), OnnxGraph.number("to", DataType.FLOAT_VALUE));
      x = graph.node("Div", List.of(x, graph.scalar("levels", 255)));
    }
    Normalization normalization = options.normalization();
    if (!normalization.equals(Normalization.none())) {
      x = graph.node("Sub", List.of(x, constant(graph, "mean", normalization.mean(), options)));
      x = graph.node("Div", List.of(x, constant(graph, "std", normalization.std(), options)));
    }
    return x;
  }

  private static String constant(
      OnnxGraph graph, String name, List<Double> values, OnnxOptions options) {
    long[] shape = new long[options.shape().size()];
    Arrays.fill(shape, 1);
    shape[0] = values.size();
    return graph.floats(name, values.stream().mapToDouble(Double::doubleValue).toArray(), shape);
  }

  private static void withOnnx(Runnable export) {
    try {
      export.run();
    } catch (NoClassDefFoundError e) {
      throw ActclipException.failure(
          e,
          "The class %s is missing: add org.tribuo:tribuo-util-onnx to the class path, with which"
              + " files of ONNX are written",
          e.getMessage());
    }
  }
}
