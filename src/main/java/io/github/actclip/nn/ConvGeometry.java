package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.util.function.Supplier;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DetailConv2dOptions;

/** How a convolution goes over an image, in height and width. */
@Internal
public record ConvGeometry(
    long[] kernel, long[] stride, long[] padding, long[] dilation, long groups) {

  /**
   * That of a convolution.
   *
   * @param refusal what is thrown where its padding is a word, or of something else than zeros
   */
  public static ConvGeometry of(Conv2dImpl conv, Supplier<ActclipException> refusal) {
    DetailConv2dOptions options = conv.options();
    return new ConvGeometry(
        pair(options.kernel_size()),
        pair(options.stride()),
        padding(options, refusal),
        pair(options.dilation()),
        options.groups().get());
  }

  private static long[] pair(LongPointer values) {
    return new long[] {values.get(0), values.get(1)};
  }

  private static long[] padding(DetailConv2dOptions options, Supplier<ActclipException> refusal) {
    try {
      options.padding_mode().get0(); // throws where the mode is another than zeros
      return pair(options.padding().get0()); // throws where it is given as a word
    } catch (RuntimeException e) {
      throw refusal.get();
    }
  }
}
