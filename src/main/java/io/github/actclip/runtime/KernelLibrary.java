package io.github.actclip.runtime;

/** The native kernels of the clips. */
public final class KernelLibrary {

  private KernelLibrary() {}

  /** Why the kernels cannot be used; empty when they are loaded, which the first call does. */
  public static String whyNotLoaded() {
    return "the kernels are not built";
  }
}
