package io.github.actclip.samples;

import io.github.actclip.runtime.RuntimeInfo;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints. */
final class VersionProvider implements IVersionProvider {

  @Override
  public String[] getVersion() {
    RuntimeInfo info = RuntimeInfo.current();
    return new String[] {"actclip " + info.actclip() + ", LibTorch presets " + info.pytorch()};
  }
}
