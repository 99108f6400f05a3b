package io.github.actclip.runtime;

import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * The one exception of this library. Its message is one sentence: what was wrong, with which value,
 * and what would be right.
 */
public final class ActclipException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** What was wrong, for a caller that answers each differently. */
  public enum Kind {
    /** What the caller gave cannot be used. */
    BAD_INPUT,
    /** The machine could not do what was asked. */
    FAILURE,
    /** So many wait already that there is no room for another: try again later. */
    FULL,
    /** It took longer than it may. */
    TOO_LATE,
    /** It was closed, or is being. */
    CLOSED
  }

  private final Kind kind;

  private ActclipException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  /**
   * What the caller gave cannot be used: an argument, an option, a file's content.
   *
   * @param message a format string of {@link String#format}
   * @param args its arguments
   */
  public static ActclipException badInput(String message, Object... args) {
    return new ActclipException(Kind.BAD_INPUT, text(message, args), null);
  }

  /**
   * The machine could not do what was asked: a disk is full, a native library is missing.
   *
   * @param cause what was caught; its message belongs into {@code message} where it helps
   * @param message a format string of {@link String#format}
   * @param args its arguments
   */
  public static ActclipException failure(Throwable cause, String message, Object... args) {
    return new ActclipException(Kind.FAILURE, text(message, args), cause);
  }

  /**
   * What was asked is sound, and is not done now.
   *
   * @param kind {@link Kind#FULL}, {@link Kind#TOO_LATE} or {@link Kind#CLOSED}
   * @param message a format string of {@link String#format}
   * @param args its arguments
   */
  public static ActclipException rejected(Kind kind, String message, Object... args) {
    return new ActclipException(kind, text(message, args), null);
  }

  /**
   * Runs something that calls LibTorch, which throws many lines with a C++ stack trace.
   *
   * @param what fails, for the message
   * @return what {@code work} returned
   * @throws ActclipException a failure in one sentence in place of LibTorch's exception; every
   *     other one passes
   */
  @Internal
  public static <T> T inOneSentence(Supplier<String> what, Supplier<T> work) {
    try {
      return work.get();
    } catch (RuntimeException e) {
      if (e.getClass() != RuntimeException.class) { // JavaCPP throws no other for LibTorch.
        throw e;
      }
      throw failure(e, "%s: %s", what.get(), firstLine(e));
    }
  }

  /**
   * The first line of what was said, since LibTorch appends a C++ stack trace to it; the
   * exception's name where nothing was said.
   */
  public static String firstLine(Throwable e) {
    return Stream.ofNullable(e.getMessage())
        .flatMap(String::lines)
        .filter(line -> !line.isBlank())
        .findFirst()
        .orElse(e.toString());
  }

  /**
   * Numbers are written the same in every locale; a message without arguments is taken as it is.
   */
  private static String text(String message, Object... args) {
    return args.length == 0 ? message : String.format(Locale.ROOT, message, args);
  }

  /** Whether the caller can mend it by giving something else. */
  public boolean isBadInput() {
    return kind == Kind.BAD_INPUT;
  }

  /** What was wrong. */
  public Kind kind() {
    return kind;
  }
}
