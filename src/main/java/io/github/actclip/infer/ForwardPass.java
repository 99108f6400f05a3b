package io.github.actclip.infer;

import io.github.actclip.data.SampleReader;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Passes of one thread, all through the same memory for the batch. */
final class ForwardPass implements AutoCloseable {

  private final Device device;
  private final Device cpu;
  private final Tensor input;

  /** Its first samples, by how many. */
  private final Map<Integer, Tensor> batches = new HashMap<>();

  private final FloatBuffer values;
  private final float[] normalized;

  ForwardPass(SampleReader reader, PredictorOptions options) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      device = scope.keep(Devices.of(options.device()));
      cpu = scope.keep(Devices.of("cpu"));
      long[] batch =
          LongStream.concat(
                  LongStream.of(options.largestBatch()),
                  reader.shape().stream().mapToLong(Long::longValue))
              .toArray();
      MemoryFormatOptional format =
          new MemoryFormatOptional(
              reader.isOfChannels() ? MemoryFormat.ChannelsLast : MemoryFormat.Contiguous);
      input = scope.keep(torch.empty(batch, new TensorOptions(ScalarType.Float), format));
      values = (reader.isOfChannels() ? input.permute(0, 2, 3, 1) : input).createBuffer();
      normalized = new float[reader.size()];
    }
  }

  /** Computes batches of those sizes, of zeros. */
  void warmUp(Weights weights, List<Integer> sizes) {
    for (int size : sizes) {
      run(weights, Collections.nCopies(size, new float[normalized.length]));
    }
  }

  /**
   * Computes a batch.
   *
   * @param samples from one to the largest batch, not normalised
   * @return that of each
   */
  List<Prediction> run(Weights weights, List<float[]> samples) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (int i = 0; i < samples.size(); i++) {
        weights.normalizer().apply(samples.get(i), normalized);
        values.put(i * normalized.length, normalized);
      }
      Tensor batch =
          batches.computeIfAbsent(samples.size(), n -> scope.keep(input.narrow(0, 0, n)));
      Tensor output = weights.forward(batch.to(device, ScalarType.Float));
      return predictions(weights, output, samples.size());
    }
  }

  private List<Prediction> predictions(Weights weights, Tensor output, int count) {
    FloatBuffer values = output.to(cpu, ScalarType.Float).contiguous().createBuffer();
    int each = values.remaining() / count;
    List<String> classes = weights.classes(each);
    List<Prediction> predictions = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      float[] outputs = new float[each];
      values.get(outputs);
      predictions.add(new Prediction(outputs, classes));
    }
    return predictions;
  }

  /** What it holds of native memory. */
  long bytes() {
    return (long) values.capacity() * Float.BYTES;
  }

  @Override
  public void close() {
    batches.values().forEach(Tensor::close);
    input.close();
    cpu.close();
    device.close();
  }
}
