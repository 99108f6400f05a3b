package io.github.actclip.export;

import ai.onnx.proto.OnnxMl;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** A file of ONNX in ONNX Runtime. */
final class OnnxModel implements AutoCloseable {

  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final Path optimized;
  private final OrtSession session;

  OnnxModel(Path file) {
    optimized = file.resolveSibling(file.getFileName() + ".optimized");
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      options.setIntraOpNumThreads(1);
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
      options.setOptimizedModelFilePath(optimized.toString());
      session = environment.createSession(file.toString(), options);
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  /** What it makes of float32 of any shape. */
  float[] run(Tensor x) {
    FloatBuffer values = x.contiguous().createBuffer();
    try (OnnxTensor input = OnnxTensor.createTensor(environment, values, x.shape())) {
      return run(input);
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  /** What it makes of uint8. */
  float[] run(byte[] x, long... shape) {
    ByteBuffer values = ByteBuffer.allocateDirect(x.length).put(x).rewind();
    try (OnnxTensor input =
        OnnxTensor.createTensor(environment, values, shape, OnnxJavaType.UINT8)) {
      return run(input);
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  private float[] run(OnnxTensor input) throws OrtException {
    try (OrtSession.Result result = session.run(Map.of(OnnxGraph.INPUT, input))) {
      FloatBuffer output = ((OnnxTensor) result.get(0)).getFloatBuffer();
      float[] values = new float[output.remaining()];
      output.get(values);
      return values;
    }
  }

  Map<String, String> notes() {
    try {
      return session.getMetadata().getCustomMetadata();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The operations that ONNX Runtime made of the graph. */
  List<String> optimized() {
    return operations(optimized);
  }

  /** The operations in a file. */
  static List<String> operations(Path file) {
    try {
      return OnnxMl.ModelProto.parseFrom(Files.readAllBytes(file)).getGraph().getNodeList().stream()
          .map(OnnxMl.NodeProto::getOpType)
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }
}
