package io.github.actclip.samples.benchmark;

import ai.onnx.proto.OnnxMl;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** The forward pass of Net in ONNX Runtime. */
final class OnnxRuntime {

  private static final Random RANDOM = new Random(0);

  private OnnxRuntime() {}

  /** Takes {@code forward}, the batch size, threads and {@code float32}; else it is silent. */
  public static void main(String[] args) throws OrtException {
    if (!args[0].equals("forward") || !args[3].equals("float32")) {
      return;
    }
    int batch = Integer.parseInt(args[1]);
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      options.setIntraOpNumThreads(Integer.parseInt(args[2]));
      try (OrtSession session = environment.createSession(model(batch), options);
          OnnxTensor images = images(environment, batch)) {
        Passes.serve("ONNX Runtime " + environment.getVersion(), () -> run(session, images));
      }
    }
  }

  private static void run(OrtSession session, OnnxTensor images) {
    try {
      session.run(Map.of("images", images)).close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  private static OnnxTensor images(OrtEnvironment environment, int batch) throws OrtException {
    float[] pixels = new float[batch * 3 * 32 * 32];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (float) RANDOM.nextGaussian();
    }
    return OnnxTensor.createTensor(
        environment, FloatBuffer.wrap(pixels), new long[] {batch, 3, 32, 32});
  }

  /** ReLU and clip are one operation in ONNX: {@code Clip} from 0 to the threshold. */
  private static byte[] model(int batch) {
    OnnxMl.GraphProto.Builder graph =
        OnnxMl.GraphProto.newBuilder()
            .setName("Net")
            .addInput(value("images", batch, 3, 32, 32))
            .addOutput(value("logits", batch, 10))
            .addInitializer(weights("conv1.weight", 32, 3, 5, 5))
            .addInitializer(weights("conv1.bias", 32))
            .addInitializer(weights("conv2.weight", 64, 32, 5, 5))
            .addInitializer(weights("conv2.bias", 64))
            .addInitializer(weights("linear.weight", 10, 1600))
            .addInitializer(weights("linear.bias", 10))
            .addInitializer(scalar("zero", 0))
            .addInitializer(scalar("act_max", 1))
            .addNode(node("Conv", "x1", "images", "conv1.weight", "conv1.bias"))
            .addNode(pool("x2", "x1"))
            .addNode(node("Clip", "x3", "x2", "zero", "act_max"))
            .addNode(node("Conv", "x4", "x3", "conv2.weight", "conv2.bias"))
            .addNode(pool("x5", "x4"))
            .addNode(node("Relu", "x6", "x5"))
            .addNode(node("Flatten", "x7", "x6"))
            .addNode(
                node("Gemm", "logits", "x7", "linear.weight", "linear.bias").toBuilder()
                    .addAttribute(
                        OnnxMl.AttributeProto.newBuilder()
                            .setName("transB")
                            .setType(OnnxMl.AttributeProto.AttributeType.INT)
                            .setI(1)));
    return OnnxMl.ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OnnxMl.OperatorSetIdProto.newBuilder().setVersion(17))
        .setGraph(graph)
        .build()
        .toByteArray();
  }

  private static OnnxMl.NodeProto node(String operation, String output, String... inputs) {
    return OnnxMl.NodeProto.newBuilder()
        .setOpType(operation)
        .addAllInput(List.of(inputs))
        .addOutput(output)
        .build();
  }

  private static OnnxMl.NodeProto pool(String output, String input) {
    return node("MaxPool", output, input).toBuilder()
        .addAttribute(twice("kernel_shape"))
        .addAttribute(twice("strides"))
        .build();
  }

  private static OnnxMl.AttributeProto twice(String name) {
    return OnnxMl.AttributeProto.newBuilder()
        .setName(name)
        .setType(OnnxMl.AttributeProto.AttributeType.INTS)
        .addInts(2)
        .addInts(2)
        .build();
  }

  private static OnnxMl.ValueInfoProto value(String name, long... shape) {
    OnnxMl.TensorShapeProto.Builder dimensions = OnnxMl.TensorShapeProto.newBuilder();
    Arrays.stream(shape).forEach(size -> dimensions.addDimBuilder().setDimValue(size));
    OnnxMl.TypeProto.Tensor type =
        OnnxMl.TypeProto.Tensor.newBuilder()
            .setElemType(OnnxMl.TensorProto.DataType.FLOAT.getNumber())
            .setShape(dimensions)
            .build();
    return OnnxMl.ValueInfoProto.newBuilder()
        .setName(name)
        .setType(OnnxMl.TypeProto.newBuilder().setTensorType(type))
        .build();
  }

  private static OnnxMl.TensorProto weights(String name, long... shape) {
    OnnxMl.TensorProto.Builder tensor = tensor(name);
    long size = Arrays.stream(shape).peek(tensor::addDims).reduce(1, Math::multiplyExact);
    for (long i = 0; i < size; i++) {
      tensor.addFloatData((float) RANDOM.nextGaussian() / 10);
    }
    return tensor.build();
  }

  private static OnnxMl.TensorProto scalar(String name, float number) {
    return tensor(name).addFloatData(number).build();
  }

  private static OnnxMl.TensorProto.Builder tensor(String name) {
    return OnnxMl.TensorProto.newBuilder()
        .setName(name)
        .setDataType(OnnxMl.TensorProto.DataType.FLOAT.getNumber());
  }
}
