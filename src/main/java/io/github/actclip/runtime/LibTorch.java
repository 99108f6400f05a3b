package io.github.actclip.runtime;

public final class LibTorch {
  private LibTorch() {}
  public static void load() {}
}
