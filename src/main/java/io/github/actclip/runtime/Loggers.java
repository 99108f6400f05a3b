package io.github.actclip.runtime;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Makes the loggers of this library's classes. Not for users.
 *
 * <p>Log4j gives up when its first use in a JVM is on an interrupted thread, and then neither it
 * nor the class that asked can be used in that JVM again.
 */
@Internal
public final class Loggers {

  private Loggers() {}

  /** The logger of a class, whatever the state of the current thread. */
  public static Logger of(Class<?> user) {
    return Uninterrupted.call(() -> LogManager.getLogger(user));
  }
}
