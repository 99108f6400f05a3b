package io.github.actclip.data;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.IntFunction;

/**
 * Keeps what was decoded, so that the next epoch need not do it again: as many images as there is
 * room for in a share of the heap; the others are decoded each time. Thread-safe.
 */
final class DecodedImages implements IntFunction<FramedImage> {

  /** One for a training's images and one for its test's leave three quarters to the program. */
  private static final int SHARES = 8;

  private final IntFunction<FramedImage> decode;
  private final AtomicReferenceArray<FramedImage> kept;
  private final AtomicLong room;

  DecodedImages(int images, IntFunction<FramedImage> decode) {
    this(images, Runtime.getRuntime().maxMemory() / SHARES, decode);
  }

  DecodedImages(int images, long bytes, IntFunction<FramedImage> decode) {
    this.decode = decode;
    kept = new AtomicReferenceArray<>(images);
    room = new AtomicLong(bytes);
  }

  @Override
  public FramedImage apply(int index) {
    FramedImage known = kept.get(index);
    if (known != null) {
      return known;
    }
    FramedImage image = decode.apply(index);
    long bytes = (long) image.pixels().length * Float.BYTES;
    boolean fits = room.addAndGet(-bytes) >= 0;
    if (!fits || !kept.compareAndSet(index, null, image)) { // or another thread was first
      room.addAndGet(bytes);
    }
    return image;
  }
}
