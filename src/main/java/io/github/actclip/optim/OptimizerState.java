package io.github.actclip.optim;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.TensorScope;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.ArchiveWriter;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.OutputArchive;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Momentum, moments, step counts and parameter groups of an optimizer, as bytes in LibTorch's own
 * format: the presets bind no other way to them.
 */
@Internal
public final class OptimizerState {

  private static final String HINT =
      "; it is of other thresholds, or of an older actclip, whose weight decay pulled on what"
          + " softplus, exp, log2 and TQT store: begin a new training with its weights";

  private OptimizerState() {}

  /**
   * Saves the state of any of LibTorch's optimizers.
   *
   * @return uint8 of shape (N); the caller's scope owns it
   */
  public static Tensor save(Optimizer optimizer) {
    try (TensorScope scope = new TensorScope();
        OutputArchive archive = new OutputArchive();
        Sink sink = new Sink()) {
      optimizer.save(archive);
      archive.save_to(sink);
      return scope.pass(torch.tensor(sink.bytes.toByteArray()).view(ScalarType.Byte));
    }
  }

  /**
   * Brings an optimizer of the same kind and parameters into a state.
   *
   * @param state what {@link #save} gave, undamaged: LibTorch's reader is not made for other bytes
   * @param device of the parameters, which need not be where they were when they were saved
   * @throws ActclipException a failure when LibTorch cannot take it up, which may have changed a
   *     part
   */
  public static void load(Optimizer optimizer, Tensor state, Device device) {
    load(optimizer, state, device, "");
  }

  private static void load(Optimizer optimizer, Tensor state, Device device, String hint) {
    try (InputArchive archive = new InputArchive();
        DeviceOptional there = new DeviceOptional(device)) {
      archive.load_from(state.data_ptr_byte(), state.numel(), there);
      optimizer.load(archive);
    } catch (RuntimeException e) {
      throw refusal(e, ActclipException.firstLine(e), hint);
    }
  }

  /**
   * The same of an optimizer that {@link OptimizerType#create} made, whose groups must be the same,
   * too.
   *
   * @param type which one it is
   */
  public static void load(Optimizer optimizer, OptimizerType type, Tensor state, Device device) {
    List<Double> decays = decays(optimizer, type);
    load(optimizer, state, device, HINT);
    List<Double> loaded = decays(optimizer, type);
    if (!loaded.equals(decays)) { // LibTorch takes the groups' options from the archive.
      throw refusal(null, "its groups decay by " + loaded + " instead of " + decays, HINT);
    }
  }

  private static ActclipException refusal(RuntimeException cause, String reason, String hint) {
    return ActclipException.failure(
        cause, "the optimizer cannot take up its state: %s%s", reason, hint);
  }

  private static List<Double> decays(Optimizer optimizer, OptimizerType type) {
    OptimizerParamGroupVector groups = optimizer.param_groups();
    return LongStream.range(0, groups.size())
        .mapToObj(i -> type.weightDecay(groups.get(i).options()).get())
        .toList();
  }

  /** Collects what an archive writes. */
  private static final class Sink extends ArchiveWriter {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    @Override
    public long call(Pointer data, long size) {
      ByteBuffer buffer = data.capacity(size).limit(size).asByteBuffer();
      byte[] chunk = new byte[buffer.remaining()];
      buffer.get(chunk);
      bytes.writeBytes(chunk);
      return size;
    }
  }
}
