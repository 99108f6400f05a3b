package io.github.actclip.autograd;

import java.util.Collections;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DetailConv2dOptions;

/**
 * What a convolution is like that is LibTorch's, of all channels, without dilation, and the same in
 * height and width.
 *
 * @param padding with zeros, on each side
 */
record PlainConvolution(long stride, long padding) {

  /** Those that were asked for numbers: C++'s exception takes longer than all other questions. */
  private static final Set<Conv2dImpl> PADDED_OTHERWISE =
      Collections.synchronizedSet(Collections.newSetFromMap(new WeakHashMap<>()));

  /** Empty for another one. */
  static Optional<PlainConvolution> of(Conv2dImpl conv) {
    if (conv.getClass() != Conv2dImpl.class) { // Its forward may be another.
      return Optional.empty();
    }
    DetailConv2dOptions options = conv.options();
    LongPointer stride = options.stride();
    boolean isPlain =
        stride.get(0) == stride.get(1)
            && isEverywhere(options.dilation(), 1)
            && options.groups().get() == 1
            && !PADDED_OTHERWISE.contains(conv);
    return isPlain
        ? padding(conv, options).map(padding -> new PlainConvolution(stride.get(0), padding))
        : Optional.empty();
  }

  private static Optional<Long> padding(Conv2dImpl conv, DetailConv2dOptions options) {
    try {
      LongPointer padding = options.padding().get0();
      long size = padding.get(0);
      if (size != 0) {
        options.padding_mode().get0(); // that of zeros, or it throws
      }
      return size == padding.get(1) ? Optional.of(size) : Optional.empty();
    } catch (RuntimeException e) { // It is "same" or "valid", or not with zeros.
      PADDED_OTHERWISE.add(conv);
      return Optional.empty();
    }
  }

  private static boolean isEverywhere(LongPointer pair, long value) {
    return pair.get(0) == value && pair.get(1) == value;
  }

  /** Whether its windows lie in the image, at each place of it. */
  boolean isDense() {
    return stride == 1 && padding == 0;
  }
}
