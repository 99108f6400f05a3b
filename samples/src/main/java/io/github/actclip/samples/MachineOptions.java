package io.github.actclip.samples;

import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Option;

/** Options of every command that computes. */
final class MachineOptions {

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:N",
      defaultValue = "auto",
      description = "Where to compute (default: auto, which is CUDA when there is one).")
  private String device;

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
    return Devices.of(device);
  }
}
