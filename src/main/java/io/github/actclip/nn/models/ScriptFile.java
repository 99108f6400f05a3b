package io.github.actclip.nn.models;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Files of TorchScript. */
final class ScriptFile {

  private static final Pattern UNKNOWN = Pattern.compile("Unknown builtin op: ([\\w:]+)");

  /** More than a network's code and names take. */
  private static final long CODE_BYTES = 16 << 20;

  private ScriptFile() {}

  /**
   * Reads a module, onto the CPU.
   *
   * @return the caller's scope owns it
   * @throws ActclipException bad input in one sentence, naming the file
   */
  static JitModule load(Path file) {
    LibTorch.load();
    if (!Files.isRegularFile(file)) {
      throw ActclipException.badInput(
          "%s is not a file; give the path of one that torch.jit.script(model).save(file) wrote",
          file);
    }
    requireWhole(file);
    try (TensorScope scope = new TensorScope()) {
      DeviceOptional cpu = new DeviceOptional(new Device("cpu"));
      JitModule module = load(file, cpu);
      ScriptChecks.require(module, file.toString());
      return scope.pass(module);
    }
  }

  private static JitModule load(Path file, DeviceOptional device) {
    try {
      return torch.load(file.toString(), device, false);
    } catch (RuntimeException e) {
      throw refusal(file, e);
    }
  }

  private static ActclipException refusal(Path file, RuntimeException e) {
    Matcher unknown = UNKNOWN.matcher(String.valueOf(e.getMessage()));
    return unknown.find()
        ? ActclipException.badInput(
            "%s needs the operator %s, which LibTorch does not have: only those of PyTorch itself run",
            file, unknown.group(1))
        : ActclipException.badInput(
            "%s cannot be loaded as TorchScript: %s", file, ActclipException.firstLine(e));
  }

  /** Whether it is a whole zip with a module in it; a state dict has no code. */
  static boolean isScript(Path file) {
    try (ZipFile zip = new ZipFile(file.toFile())) {
      return hasCode(zip);
    } catch (ZipException | IllegalArgumentException | EOFException e) {
      return false;
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  private static boolean hasCode(ZipFile zip) {
    return zip.stream().anyMatch(entry -> entry.getName().endsWith("/constants.pkl"));
  }

  /** LibTorch's reader takes checksums for granted, and may crash on what is damaged. */
  private static void requireWhole(Path file) {
    try (ZipFile zip = new ZipFile(file.toFile())) {
      if (!hasCode(zip)) {
        throw ActclipException.badInput(
            "%s has no TorchScript in it: a state dict has no network, and torch.jit.script(model)"
                + ".save(file) writes one",
            file);
      }
      byte[] buffer = new byte[1 << 16];
      for (ZipEntry entry : zip.stream().map(ZipEntry.class::cast).toList()) {
        requireWhole(file, zip, entry, buffer);
      }
    } catch (ZipException | IllegalArgumentException e) {
      throw ActclipException.badInput(
          "%s is not a file of TorchScript: %s", file, ActclipException.firstLine(e));
    } catch (EOFException e) {
      throw ActclipException.badInput("%s is not a file of TorchScript: it ends early", file);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  private static void requireWhole(Path file, ZipFile zip, ZipEntry entry, byte[] buffer)
      throws IOException {
    CRC32 crc = new CRC32();
    try (InputStream in = new CheckedInputStream(zip.getInputStream(entry), crc)) {
      while (in.read(buffer) >= 0) {} // the stream counts
    }
    if (entry.getCrc() != crc.getValue()) {
      throw ActclipException.badInput(
          "%s is damaged: the checksum of %s in it is wrong", file, entry.getName());
    }
  }

  /** Writes a module so that the file is there whole, or not at all. */
  static void save(JitModule module, Path file) {
    try {
      Path folder = Files.createTempDirectory("actclip");
      Path whole = folder.resolve("module.pt"); // whose name is in the file
      try {
        export(module, whole);
        AtomicFile.write(file, out -> Files.copy(whole, out));
      } finally {
        Files.deleteIfExists(whole);
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, AtomicFile.reason(e));
    }
  }

  static void export(JitModule module, Path to) throws IOException {
    requireRoom(to.getParent(), CODE_BYTES + bytesOfTensors(module));
    try {
      module.save(to.toString());
    } catch (RuntimeException e) {
      throw new IOException(ActclipException.firstLine(e), e);
    }
  }

  /** LibTorch's writer ends the JVM where the disk is full. */
  static void requireRoom(Path folder, long bytes) throws IOException {
    long room = Files.getFileStore(folder).getUsableSpace();
    if (room < bytes) {
      throw new IOException(
          "that takes " + bytes + " bytes for a while in " + folder + ", which has " + room);
    }
  }

  private static long bytesOfTensors(JitModule module) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return ScriptGraphs.modules(module).values().stream()
          .flatMap(part -> ScriptGraphs.attributes(part).values().stream())
          .filter(IValue::isTensor)
          .map(IValue::toTensor)
          .filter(Tensor::defined)
          .mapToLong(tensor -> tensor.numel() * tensor.element_size())
          .sum();
    }
  }
}
