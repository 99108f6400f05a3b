package io.github.actclip.samples.benchmark;

import io.github.actclip.runtime.Devices;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Option;

/** The option of where to compute. */
public final class DeviceMixin {

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:N",
      defaultValue = "auto",
      description = "Where to compute (default: auto, which is CUDA when there is one).")
  private String device;

  /**
   * Finds the device.
   *
   * @throws io.github.actclip.runtime.ActclipException if there is none of that name
   */
  public Device open() {
    return Devices.of(device);
  }
}
