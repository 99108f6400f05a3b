package io.github.actclip.samples.cli;

import io.github.actclip.nn.models.Net;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.RuntimeInfo;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Prints what a training would run on. */
@Command(
    name = "info",
    description = "Prints versions, device, threads, memory format, backend and cache folder.",
    mixinStandardHelpOptions = true)
final class InfoCommand implements Runnable {

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    Device device = machine.device();
    RuntimeInfo info = RuntimeInfo.current();
    Results.print("actclip", info.actclip());
    Results.print("LibTorch presets", info.pytorch());
    Results.print("Java", info.java());
    Results.print("platform", info.platform());
    Results.print("vector instructions", info.cpu());
    Results.print("device", device.str().getString());
    Results.print("CUDA", info.cuda());
    Results.print(
        "threads", info.threads() + " for LibTorch, " + info.blasThreads() + " for OpenBLAS");
    Results.print("memory format", Net.MEMORY_FORMAT.name());
    Results.print("clip backend", ClipOp.backend());
    Results.print("cache folder", info.cacheFolder());
  }
}
