package io.github.actclip.samples.cli;

import io.github.actclip.runtime.RuntimeInfo;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints, also where LibTorch cannot be loaded. */
final class VersionProvider implements IVersionProvider {

  @Override
  public String[] getVersion() {
    return new String[] {
      "actclip "
          + RuntimeInfo.actclipVersion()
          + ", LibTorch presets "
          + RuntimeInfo.pytorchVersion()
    };
  }
}
