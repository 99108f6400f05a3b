package io.github.actclip.nn.models;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Checks what the networks of this package are made of and given; each throws bad input. */
final class Inputs {

  static final int MAX_CHANNELS = 4096;
  static final int MAX_CLASSES = 1_000_000;

  /** Stands for a size that may be any from 1 on. */
  static final long ANY = -1;

  private static final String[] NAMES = {"C", "H", "W"};

  private Inputs() {}

  static void requireBetween(String name, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw ActclipException.badInput(
          "%s (%s) must be %s to %s", name, text(value), text(least), text(most));
    }
  }

  /** A whole number without a point. */
  private static String text(double value) {
    return value == Math.rint(value) && Math.abs(value) < Long.MAX_VALUE
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  /** The modules go with the network, so that it is looked at before they are. */
  static void requireOpen(Network network) {
    if (network.isNull()) {
      throw ActclipException.badInput(
          "this network was closed: make it outside of the scope that closed it");
    }
  }

  /**
   * Refuses what a network cannot take.
   *
   * @param what it is, in words
   * @param weight of the dtype and on the device that the network takes
   * @param sizes of the dimensions after the first, or {@link #ANY}
   */
  static void require(String what, Tensor x, Tensor weight, long... sizes) {
    Arguments.requireOpen(what, x);
    if (!hasSizes(x.shape(), sizes)) {
      throw ActclipException.badInput(
          "%s have the shape %s: this network takes (B, %s)",
          what, Arrays.toString(x.shape()), text(sizes));
    }
    ScalarType given = x.scalar_type().intern();
    ScalarType taken = weight.scalar_type().intern();
    if (given != taken) {
      throw ActclipException.badInput("%s are %s: this network takes %s", what, given, taken);
    }
    Arguments.requireStrided(what, x, "this network");
    Arguments.requireSameDevice(what + " are", x, "the network is", weight);
  }

  private static boolean hasSizes(long[] shape, long... sizes) {
    return shape.length == sizes.length + 1
        && IntStream.range(0, sizes.length)
            .allMatch(i -> sizes[i] == ANY ? shape[i + 1] > 0 : sizes[i] == shape[i + 1]);
  }

  private static String text(long... sizes) {
    return IntStream.range(0, sizes.length)
        .mapToObj(i -> sizes[i] == ANY ? NAMES[i] : Long.toString(sizes[i]))
        .collect(Collectors.joining(", "));
  }

  /**
   * Refuses a single image of which one pixel is left in a training pass: it has no variance.
   *
   * @param stride how many pixels of the images, along each side, become one
   */
  static void requireSeveral(Network network, Tensor images, int stride) {
    long height = (images.size(2) - 1) / stride + 1;
    long width = (images.size(3) - 1) / stride + 1;
    if (network.is_training() && images.size(0) * height * width == 1) {
      throw ActclipException.badInput(
          "one image of %d×%d has no variance to normalise by in training: this network needs two,"
              + " or one larger than %d×%d",
          images.size(2), images.size(3), stride, stride);
    }
  }
}
