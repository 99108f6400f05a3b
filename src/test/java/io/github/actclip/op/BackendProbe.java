package io.github.actclip.op;

import io.github.actclip.autograd.Ceil;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;

/** Uses a custom function and asks for the backend; prints it, and whether the kernels are here. */
final class BackendProbe {

  private BackendProbe() {}

  public static void main(String[] args) throws IOException {
    TensorScope.run(() -> new Ceil().apply(torch.ones(3).requires_grad_(true)).sum().backward());
    try {
      System.out.println("\n" + ClipOp.backend());
    } catch (ActclipException e) {
      System.out.println("\nrefused: " + e.getMessage());
    }
    try (Stream<String> mapped = Files.lines(Path.of("/proc/self/maps"))) {
      boolean loaded = mapped.anyMatch(line -> line.endsWith("/libactclip.so"));
      System.out.println("kernels loaded: " + loaded);
    }
  }
}
