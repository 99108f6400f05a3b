package io.github.actclip.samples;

import io.github.actclip.runtime.Devices;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Option;

/** The option of where to compute. */
final class DeviceMixin {

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:N",
      defaultValue = "auto",
      description = "Where to compute (default: auto, which is CUDA when there is one).")
  private String device;

  Device open() {
    return Devices.of(device);
  }
}
