package io.github.actclip.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.util.jar.JarFile;

/** The files that lie in jars, or beside classes. */
public final class Resources {

  /** What stands between a jar and the file in it. */
  private static final String IN_JAR = "!/";

  private Resources() {}

  /**
   * Reads a file that the class path has.
   *
   * @param resource what {@link Class#getResource} gave
   * @throws ActclipException a failure when it cannot be read, as below a folder whose name ends in
   *     an exclamation mark
   */
  public static byte[] read(URL resource) {
    try (InputStream in = resource.openStream()) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw unreadable(resource, e);
    }
  }

  /** The jar that a file is in. */
  static JarFile jar(JarURLConnection file) {
    try {
      return file.getJarFile();
    } catch (IOException e) {
      throw unreadable(file.getURL(), e);
    }
  }

  /** Says why; the JDK itself looks for a jar of half the name then. */
  private static ActclipException unreadable(URL resource, IOException e) {
    String address = resource.toString();
    if (address.indexOf(IN_JAR) == address.lastIndexOf(IN_JAR)) {
      return ActclipException.failure(e, "%s cannot be read: %s", address, e.getMessage());
    }
    return ActclipException.failure(
        e,
        "%s cannot be read, because Java takes what stands before the first \"!/\" for the jar:"
            + " move the jars to where no folder's name ends in \"!\"",
        address);
  }
}
