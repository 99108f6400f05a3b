package io.github.actclip.data;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * Ends for good. ImageIO's reader of WebP takes zeros for what is missing of a file that was cut
 * off, and may never stop to ask for more.
 */
final class EndingStream extends FilterInputStream {

  /** Others look for the end, too: for each strip of a small TIFF file. */
  private static final int MOST_READS_AT_THE_END = 100_000;

  private int readsAtTheEnd;

  EndingStream(InputStream in) {
    super(in);
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    int count = super.read(bytes, offset, length);
    if (count < 0 && ++readsAtTheEnd > MOST_READS_AT_THE_END) {
      throw new IOException("the file ends too early");
    }
    return count;
  }
}
