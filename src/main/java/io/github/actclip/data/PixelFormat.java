package io.github.actclip.data;

/** How raw image bytes are laid out, and how they become 32×32 pixels of three channels. */
enum PixelFormat {

  /** 28×28 grey bytes, padded by two zeros on each side and repeated to three channels. */
  GREY_28(28 * 28) {
    @Override
    Preprocessing preprocessing() {
      return Preprocessing.ofImages(28).padded(2).inGrey();
    }

    @Override
    void decode(byte[] raw, int offset, float[] out) {
      int from = offset;
      for (int y = 2; y < 30; y++) {
        for (int x = 2; x < 30; x++) {
          float level = LEVELS[raw[from++] & 0xff];
          int to = (y * SIDE + x) * CHANNELS;
          out[to] = level;
          out[to + 1] = level;
          out[to + 2] = level;
        }
      }
    }
  },

  /** A red, a green and a blue plane of 32×32 bytes each. */
  RGB_32_PLANES(3 * 32 * 32) {
    @Override
    Preprocessing preprocessing() {
      return Preprocessing.ofImages(SIDE);
    }

    @Override
    void decode(byte[] raw, int offset, float[] out) {
      for (int channel = 0; channel < CHANNELS; channel++) {
        int from = offset + channel * SIDE * SIDE;
        for (int to = channel; to < VALUES; to += CHANNELS) {
          out[to] = LEVELS[raw[from++] & 0xff];
        }
      }
    }
  };

  /** Rows, and columns, of a decoded image. */
  static final int SIDE = 32;

  /** Channels of a decoded image. */
  static final int CHANNELS = 3;

  /** Floats of a decoded image. */
  static final int VALUES = CHANNELS * SIDE * SIDE;

  /** What one data set may take of the heap; the whole of CIFAR-10 takes 147 MiB. */
  private static final int MAX_BYTES = 256 << 20;

  /** The value of each pixel byte: 0 to 255 become 0 to 1. */
  static final float[] LEVELS = levels();

  /** Bytes of one raw image. */
  final int bytes;

  PixelFormat(int bytes) {
    this.bytes = bytes;
  }

  /** The most images of this format that one data set may hold. */
  int maxImages() {
    return MAX_BYTES / bytes;
  }

  /**
   * Decodes one image.
   *
   * @param offset where it starts in {@code raw}
   * @param out gets {@link #VALUES} floats, rows × columns × channels; what the padding covers is
   *     left as it is, so the array must have started as zeros
   */
  abstract void decode(byte[] raw, int offset, float[] out);

  /** How other images become such pixels. */
  abstract Preprocessing preprocessing();

  private static float[] levels() {
    float[] levels = new float[256];
    for (int i = 0; i < levels.length; i++) {
      levels[i] = i / 255f;
    }
    return levels;
  }
}
