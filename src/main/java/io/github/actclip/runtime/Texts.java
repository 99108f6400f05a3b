package io.github.actclip.runtime;

/** Texts by which a file tells objects of a user's own apart. */
@Internal
public final class Texts {

  private Texts() {}

  /**
   * What {@code toString} says, or else the name of the class: the same in every JVM. A lambda's
   * class has a number that is another one in the next, which is left out.
   */
  public static String of(Object object) {
    String type = object.getClass().getName();
    boolean saysNothing = object.toString().startsWith(type + "@");
    return saysNothing ? type.replaceFirst("(?<=\\$\\$Lambda).*", "") : object.toString();
  }
}
