package io.github.actclip.samples.benchmark;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.actclip.export.Onnx;
import io.github.actclip.export.OnnxOptions;
import io.github.actclip.nn.models.Net;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/** The forward pass of Net in ONNX Runtime, exported in float32. */
final class OnnxRuntime {

  static final OnnxOptions IMAGES = OnnxOptions.of(3, 32, 32);

  private OnnxRuntime() {}

  /** Takes {@code forward}, the batch size, threads and {@code float32}; else it is silent. */
  public static void main(String[] args) throws OrtException, IOException {
    serve(args, "", file -> Onnx.export(new Net(), file, IMAGES));
  }

  /**
   * Serves a model.
   *
   * @param kind what is said of it after ONNX Runtime's name
   * @param export writes it
   */
  static void serve(String[] args, String kind, Consumer<Path> export)
      throws OrtException, IOException {
    if (!args[0].equals("forward") || !args[3].equals("float32")) {
      return;
    }
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      options.setIntraOpNumThreads(Integer.parseInt(args[2]));
      try (OrtSession session = environment.createSession(model(export), options);
          OnnxTensor images = images(environment, Integer.parseInt(args[1]))) {
        String name = "ONNX Runtime " + environment.getVersion() + kind;
        Passes.serve(name, () -> run(session, images));
      }
    }
  }

  private static byte[] model(Consumer<Path> export) throws IOException {
    Path file = Files.createTempFile("net", ".onnx");
    try {
      export.accept(file);
      return Files.readAllBytes(file);
    } finally {
      Files.delete(file);
    }
  }

  private static void run(OrtSession session, OnnxTensor images) {
    try {
      session.run(Map.of("input", images)).close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  private static OnnxTensor images(OrtEnvironment environment, int batch) throws OrtException {
    Random random = new Random(0);
    float[] pixels = new float[batch * 3 * 32 * 32];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = random.nextFloat();
    }
    return OnnxTensor.createTensor(
        environment, FloatBuffer.wrap(pixels), new long[] {batch, 3, 32, 32});
  }
}
