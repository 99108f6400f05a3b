package io.github.actclip.samples.benchmark;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.actclip.export.Onnx;
import io.github.actclip.export.OnnxOptions;
import io.github.actclip.runtime.LibTorch;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/** The forward pass of a network in ONNX Runtime, exported in float32. */
final class OnnxRuntime {

  static final OnnxOptions IMAGES = OnnxOptions.of(3, Wanted.SMALL_IMAGES, Wanted.SMALL_IMAGES);

  private OnnxRuntime() {}

  /**
   * Takes {@code forward} and the batch size, or {@code predict} and the number of callers; threads
   * and {@code float32}; and the network's name; else it is silent.
   */
  public static void main(String[] args) throws OrtException, IOException {
    serve(args, "", file -> export(args[4], file));
  }

  private static void export(String name, Path file) {
    LibTorch.load();
    Architecture<?> network = Architecture.named(name);
    Onnx.export(network.make(Wanted.small(ModelContestants.clips(network))), file, IMAGES);
  }

  /**
   * Serves a model.
   *
   * @param kind what is said of it after ONNX Runtime's name
   * @param export writes it
   */
  static void serve(String[] args, String kind, Consumer<Path> export)
      throws OrtException, IOException {
    boolean predicts = args[0].equals("predict");
    if (!args[3].equals("float32") || !predicts && !args[0].equals("forward")) {
      return;
    }
    int size = Integer.parseInt(args[1]);
    int batch = predicts ? 1 : size;
    String threads = predicts && size > 1 ? "1" : args[2]; // Callers are threads enough.
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      options.setIntraOpNumThreads(Integer.parseInt(threads));
      try (OrtSession session = environment.createSession(model(export), options);
          OnnxTensor images = images(environment, batch)) {
        String name = "ONNX Runtime " + environment.getVersion() + kind;
        if (predicts) {
          float[] pixels = pixels(1);
          Passes.serve(name, new Callers(size, () -> () -> predict(environment, session, pixels)));
        } else {
          Passes.serve(name, () -> run(session, images));
        }
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

  private static float[] predict(OrtEnvironment environment, OrtSession session, float[] pixels) {
    try (OnnxTensor image =
            OnnxTensor.createTensor(
                environment, FloatBuffer.wrap(pixels), new long[] {1, 3, 32, 32});
        OrtSession.Result result = session.run(Map.of("input", image))) {
      return ((float[][]) result.get(0).getValue())[0];
    } catch (OrtException e) {
      throw new IllegalStateException(e);
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
    return OnnxTensor.createTensor(
        environment, FloatBuffer.wrap(pixels(batch)), new long[] {batch, 3, 32, 32});
  }

  private static float[] pixels(int batch) {
    Random random = new Random(0);
    float[] pixels = new float[batch * 3 * 32 * 32];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = random.nextFloat();
    }
    return pixels;
  }
}
