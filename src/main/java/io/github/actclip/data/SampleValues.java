package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The values of a float32 batch (B, C, …), sample by sample, in the order of its memory: channels
 * last, or channel by channel. For what changes them on its own thread: those of LibTorch are busy
 * with the network.
 */
final class SampleValues {

  private final Tensor tensor;
  private final long[] shape;
  private final boolean channelsLast;
  private final FloatBuffer buffer;

  /**
   * @param who is to use them, for messages
   * @param data is read and written in place, unless it has gaps: then a copy of it, which belongs
   *     to the open scope
   * @throws ActclipException bad input, when it is no such batch
   */
  SampleValues(String who, Tensor data) {
    Arguments.requireData("the data for " + who, data, who);
    shape = data.shape();
    if (shape.length < 2
        || data.numel() == 0
        || data.nbytes() > Integer.MAX_VALUE
        || data.scalar_type().intern() != ScalarType.Float
        || !data.is_cpu()) {
      throw ActclipException.badInput(
          "%s takes a batch (B, C, …) of float32 on the CPU, at most 2 GiB, and was given %s of"
              + " shape %s on %s",
          who,
          data.scalar_type().intern(),
          Arrays.toString(shape),
          data.device().str().getString());
    }
    channelsLast = shape.length == 4 && data.is_contiguous(MemoryFormat.ChannelsLast);
    tensor = channelsLast ? data : data.contiguous();
    buffer = (channelsLast ? data.permute(0, 2, 3, 1) : tensor).createBuffer();
  }

  /** With what was put. */
  Tensor tensor() {
    return tensor;
  }

  long[] shape() {
    return shape.clone();
  }

  int samples() {
    return (int) shape[0];
  }

  int channels() {
    return (int) shape[1];
  }

  /** How many values a sample has. */
  int size() {
    return buffer.capacity() / samples();
  }

  /** How far apart two values of a channel are: 1, or where channels are last, their number. */
  int step() {
    return channelsLast ? channels() : 1;
  }

  /** The channel of each value of a sample. */
  int[] channelOf() {
    int[] channels = new int[size()];
    for (int at = 0; at < channels.length; at++) {
      channels[at] = channelsLast ? at % channels() : at / (size() / channels());
    }
    return channels;
  }

  void get(int sample, float[] values) {
    buffer.get(sample * values.length, values);
  }

  void put(int sample, float[] values) {
    buffer.put(sample * values.length, values);
  }
}
