package io.github.actclip.samples.cli;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.samples.benchmark.DeviceMixin;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options of every command that computes. */
final class MachineOptions {

  @Mixin private DeviceMixin device;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of one LibTorch operation (default: one a processor).")
  private Integer threads;

  /** Sets the threads, and opens the device. */
  Device device() {
    if (threads != null) {
      LibTorch.setThreads(threads);
    }
    return device.open();
  }
}
