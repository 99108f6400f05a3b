package io.github.actclip.runtime;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;

/** Where tensors live and operations run. The returned devices belong to the caller's scope. */
public final class Devices {

  private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

  private Devices() {}

  /** The first CUDA device when there is one, else the CPU. */
  public static Device auto() {
    LibTorch.load();
    return new Device(torch.cuda_is_available() ? "cuda:0" : "cpu");
  }

  /**
   * The device of that name.
   *
   * @param name {@code auto}, {@code cpu}, {@code cuda} (the first) or {@code cuda:N}
   * @throws ActclipException when the name is none of these, or this machine has no such device;
   *     the message says what is missing
   */
  public static Device of(String name) {
    LibTorch.load();
    if (name == null) {
      throw ActclipException.badInput("the device (null) must be one of auto, cpu, cuda, cuda:N");
    }
    String wanted = name.trim().toLowerCase(Locale.ROOT);
    if (wanted.equals("auto")) {
      return auto();
    }
    if (wanted.equals("cpu")) {
      return new Device("cpu");
    }
    Matcher cuda = CUDA.matcher(wanted);
    if (!cuda.matches()) {
      throw ActclipException.badInput(
          "the device (%s) must be one of auto, cpu, cuda, cuda:N", name);
    }
    int index = cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1));
    requireCuda(name, index);
    return new Device("cuda:" + index);
  }

  /**
   * Checks that tensors can be on a device: the CPU, CUDA where it is there, or meta, which holds
   * no data.
   *
   * @throws ActclipException bad input when it is null, closed, or none of these
   */
  public static void requireThere(Device device) {
    Arguments.requireOpen("the device", device);
    if (!device.is_meta()) {
      requireUsable(device);
    }
  }

  /**
   * Checks that a device is there, and one that this library computes on.
   *
   * @throws ActclipException bad input when it is null, closed, neither the CPU nor CUDA, or not on
   *     this machine
   */
  public static void requireUsable(Device device) {
    Arguments.requireOpen("the device", device);
    if (device.is_cpu()) {
      return;
    }
    String name = device.str().getString();
    if (!device.is_cuda()) {
      throw ActclipException.badInput("the device (%s) must be the CPU or a CUDA device", name);
    }
    requireCuda(name, Math.max(0, device.index())); // -1 is the current one
  }

  /** What CUDA lacks on this machine, in a few words; empty when it is available. */
  public static String whyNoCuda() {
    LibTorch.load();
    if (torch.cuda_is_available()) {
      return "";
    }
    if (!NativeLibraries.areForCuda()) {
      return "this program was built with LibTorch's CPU build (build it with"
          + " -Djavacpp.platform.extension=-gpu, or start the samples with samples/run -Pgpu)";
    }
    if (!CudaLibraries.isDriverThere()) {
      return "the NVIDIA driver is not installed (libcuda.so.1 was not found)";
    }
    return "the NVIDIA driver reports no usable GPU";
  }

  private static void requireCuda(String name, int index) {
    String reason = whyNoCuda();
    if (!reason.isEmpty()) {
      throw ActclipException.badInput("the device %s cannot be used: %s", name, reason);
    }
    int count = torch.cuda_device_count();
    if (index >= count) {
      throw ActclipException.badInput(
          "the device %s does not exist: this machine has %d, cuda:0 to cuda:%d",
          name, count, count - 1);
    }
  }
}
