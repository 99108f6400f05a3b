package io.github.actclip.infer;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.Split;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;

/**
 * Asks a predictor from several threads, and then swaps its weights again and again; prints by how
 * many KiB the process grew over the last four fifths of the predictions, and over the second half
 * of the swaps. In a JVM that has touched all of its heap, that is native.
 */
final class PredictorMemoryProbe {

  private static final int CALLERS = 4;
  private static final int PARTS = 10;
  private static final int WARM_UP = 2;
  private static final int SWAPS = 60;
  private static final int VALUES = 3 * 16 * 16;
  private static final NetOptions SMALL = new NetOptions(3, 16, 10);

  private PredictorMemoryProbe() {}

  /** Takes a folder, and how many predictions. */
  public static void main(String[] args) throws InterruptedException {
    LibTorch.load();
    Path file = Path.of(args[0]).resolve("net.safetensors");
    Preprocessing preprocessing =
        Preprocessing.ofImages(16).named(ImageDataset.embedded(Split.TEST).classes());
    Net net = new Net(SMALL);
    TensorScope.run(
        () ->
            StateDict.write(
                file, StateDict.of(net), Map.of(Preprocessing.NOTE, Json.line(preprocessing))));
    int each = Integer.parseInt(args[1]) / PARTS / CALLERS;
    PredictorOptions options = PredictorOptions.builder().device("cpu").largestBatch(8).build();
    try (Predictor predictor = Predictor.load(file, () -> new Net(SMALL), options)) {
      ask(predictor, each, WARM_UP);
      long before = Pointer.physicalBytes();
      ask(predictor, each, PARTS - WARM_UP);
      long asked = Pointer.physicalBytes();
      swap(predictor, file, SWAPS); // Each is on a thread of its own, and malloc has 16 arenas.
      long warm = Pointer.physicalBytes();
      swap(predictor, file, SWAPS);
      long swapped = Pointer.physicalBytes();
      System.out.println("\n" + ((asked - before) >> 10) + " " + ((swapped - warm) >> 10));
    }
  }

  private static void swap(Predictor predictor, Path file, int times) {
    for (int i = 0; i < times; i++) {
      predictor.swap(file);
      predictor.predict(new float[VALUES]);
      System.gc(); // Modules, without their weights by now, wait for it.
    }
  }

  private static void ask(Predictor predictor, int each, int parts) throws InterruptedException {
    for (int part = 0; part < parts; part++) {
      List<Thread> callers =
          IntStream.range(0, CALLERS)
              .mapToObj(i -> new Thread(() -> ask(predictor, each)))
              .toList();
      callers.forEach(Thread::start);
      for (Thread caller : callers) {
        caller.join();
      }
    }
  }

  private static void ask(Predictor predictor, int times) {
    float[] values = new float[VALUES];
    for (int i = 0; i < times; i++) {
      values[i % values.length] += 0.25f;
      predictor.predict(values).top();
    }
  }
}
