package io.github.actclip.testing;

import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Configurator;
import org.apache.logging.log4j.core.config.Property;

/** What a class writes into the log, from INFO on, until this is closed. */
public final class LogCapture implements AutoCloseable {

  private final List<String> lines = new ArrayList<>();
  private final Logger logger;
  private final Level level;
  private final AbstractAppender appender;

  /** Of one class. */
  public LogCapture(Class<?> writer) {
    this(writer.getName());
  }

  /** Of all classes of a package. */
  public LogCapture(String name) {
    logger = (Logger) LogManager.getLogger(name);
    level = logger.getLevel();
    appender =
        new AbstractAppender("capture", null, null, false, Property.EMPTY_ARRAY) {
          @Override
          public void append(LogEvent event) {
            lines.add(event.getLevel() + " " + event.getMessage().getFormattedMessage());
          }
        };
    appender.start();
    logger.addAppender(appender);
    Configurator.setAllLevels(name, Level.INFO); // also of the loggers below a package
  }

  /** The lines so far, each its level and its text. */
  public List<String> lines() {
    return List.copyOf(lines);
  }

  @Override
  public void close() {
    logger.removeAppender(appender);
    Configurator.setAllLevels(logger.getName(), level);
  }
}
