package io.github.actclip.runtime;

import org.bytedeco.pytorch.global.torch;

/** Uses the presets without this library: what {@link LoadProbe} is compared with. */
final class PlainProbe {

  private PlainProbe() {}

  public static void main(String[] args) {
    System.out.println("sum " + torch.ones(1000).sum().item_float());
  }
}
