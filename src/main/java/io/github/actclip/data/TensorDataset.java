package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Tensors in memory, whose first dimension is that of the samples.
 *
 * <pre>{@code
 * Dataset train = new TensorDataset("points on a circle", points, classes);
 * }</pre>
 *
 * <p>It holds on to the memory of the tensors, which the caller may close; who changes what is in
 * them changes the samples. Close it when the last loop over it has ended; else the garbage
 * collector frees it. Thread-safe, but for closing.
 */
public final class TensorDataset implements Dataset, AutoCloseable {

  /** So much is copied at once for the checksum. */
  private static final long CHUNK_BYTES = 16 << 20;

  private final String name;
  private final Tensor data;
  private final Tensor target;
  private final int size;
  private volatile Long checksum;

  /**
   * Shows tensors as samples.
   *
   * @param name what they are, for a person to read
   * @param data (N, …) on the CPU, of any dtype
   * @param target (N, …) likewise; of classes int64 (N), of numbers float32 (N, 1)
   * @throws ActclipException bad input, when they are not of as many samples, one at least
   */
  public TensorDataset(String name, Tensor data, Tensor target) {
    requireSamples("data", data);
    requireSamples("target", target);
    if (data.size(0) != target.size(0)) {
      throw ActclipException.badInput(
          "The data of %s is of shape %s and its target of shape %s: the first dimension is that of"
              + " the samples, and has to be the same",
          name, Arrays.toString(data.shape()), Arrays.toString(target.shape()));
    }
    if (data.size(0) > Integer.MAX_VALUE) {
      throw ActclipException.badInput(
          "%s has %d samples: a data set can have at most %d",
          name, data.size(0), Integer.MAX_VALUE);
    }
    this.name = name;
    this.size = (int) data.size(0);
    try (TensorScope scope = new TensorScope()) {
      this.data = scope.keep(data.detach());
      this.target = scope.keep(target.detach());
    }
  }

  private static void requireSamples(String what, Tensor tensor) {
    Arguments.requireData(what, tensor, "a data set");
    if (!tensor.is_cpu() || tensor.dim() == 0 || tensor.numel() == 0) {
      throw ActclipException.badInput(
          "%s has to be on the CPU and of shape (N, …), and is on %s, of shape %s",
          what, tensor.device().str().getString(), Arrays.toString(tensor.shape()));
    }
  }

  @Override
  public int size() {
    return size;
  }

  /**
   * Copies samples.
   *
   * @return of the dtypes of the tensors; the open scope's, or the caller's to close
   * @throws ActclipException bad input, when there is no such sample, or this was closed
   */
  @Override
  public Batch batch(int... indices) {
    requireOpen();
    Indices.require(this, indices);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor which = torch.tensor(Arrays.stream(indices).asLongStream().toArray());
      return new Batch(
          scope.pass(data.index_select(0, which)), scope.pass(target.index_select(0, which)));
    }
  }

  @Override
  public String name() {
    return name;
  }

  /** The CRC-32C of dtypes, shapes and values, as they are when it is first asked. */
  @Override
  public long checksum() {
    Long known = checksum; // Every checkpoint asks; two threads may compute the same.
    if (known == null) {
      requireOpen();
      CRC32C crc = new CRC32C();
      update(crc, data);
      update(crc, target);
      known = crc.getValue();
      checksum = known;
    }
    return known;
  }

  private void requireOpen() {
    Arguments.requireOpen(name, data);
  }

  private static void update(CRC32C crc, Tensor tensor) {
    String kind = tensor.scalar_type().intern() + Arrays.toString(tensor.shape());
    crc.update(kind.getBytes(StandardCharsets.US_ASCII));
    long samples = tensor.size(0);
    long step = Math.max(1, CHUNK_BYTES * samples / tensor.nbytes());
    for (long from = 0; from < samples; from += step) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        Tensor chunk = tensor.narrow(0, from, Math.min(step, samples - from)).contiguous();
        crc.update(chunk.flatten().view(ScalarType.Byte).<ByteBuffer>createBuffer());
      }
    }
  }

  /** Lets the tensors go; their memory is freed when nobody else has them. */
  @Override
  public void close() {
    data.close();
    target.close();
  }
}
