package io.github.actclip.runtime;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** Paths that are given as text. */
public final class FilePath {

  private FilePath() {}

  /**
   * Makes a path of a text, such as an option's or one in a file.
   *
   * @throws ActclipException bad input when it can be no path: in an ASCII locale, such as {@code
   *     LC_ALL=C}, the JVM can name no file with other characters
   */
  public static Path of(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw ActclipException.badInput(
          "%s cannot be the name of a file (%s): this JVM writes names in %s, so set a UTF-8"
              + " locale, such as LC_ALL=C.UTF-8, if there are characters that it lacks",
          text, e.getReason(), System.getProperty("sun.jnu.encoding"));
    }
  }
}
