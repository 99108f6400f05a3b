package io.github.actclip.runtime;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** Paths that are given as text. */
public final class FilePath {

  /** What stands for a byte that is no character in the JVM's charset. */
  private static final String UNKNOWN = "\ufffd";

  private FilePath() {}

  /**
   * Makes a path of a text, such as an option's or one in a file.
   *
   * @throws ActclipException bad input when it is empty or can be no path: in an ASCII locale, such
   *     as {@code LC_ALL=C}, the JVM can name no file with other characters
   */
  public static Path of(String text) {
    if (text.isBlank()) {
      throw ActclipException.badInput(
          "the name of a file or folder is empty (\"%s\"): give one, or \".\" for the working folder",
          text);
    }
    try {
      Path path = Path.of(text);
      String workingFolder = System.getProperty("user.dir");
      if (!path.isAbsolute() && workingFolder.contains(UNKNOWN)) {
        throw unusable(text, "it is relative to the working folder " + workingFolder);
      }
      return path;
    } catch (InvalidPathException e) {
      throw unusable(text, e.getReason());
    }
  }

  private static ActclipException unusable(String text, String reason) {
    return ActclipException.badInput(
        "%s cannot be the name of a file (%s): this JVM reads and writes names in %s, so set a UTF-8"
            + " locale, such as LC_ALL=C.UTF-8, if there are characters that it lacks",
        text, reason, System.getProperty("sun.jnu.encoding"));
  }
}
