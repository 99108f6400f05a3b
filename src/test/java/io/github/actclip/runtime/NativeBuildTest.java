package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code native/build} where it cannot. */
@EnabledOnOs(OS.LINUX)
class NativeBuildTest {

  @TempDir Path folder;

  private record Result(int status, String output) {}

  /** Of a percent sign make makes a pattern, and CMake lists and expands the others. */
  @ParameterizedTest
  @ValueSource(strings = {"a%b", "a;b", "a\"b", "a$b", "a\\b"})
  void aFolderInWhichCMakeCannotWorkIsOneSentence(String name) throws Exception {
    Path checkout = Files.createDirectories(folder.resolve(name).resolve("native"));
    Files.copy(Path.of("native/build"), checkout.resolve("build"));
    Path old = Files.createDirectories(folder.resolve(name).resolve("classes/linux-x86_64"));
    Files.writeString(old.resolve("libactclip.so"), "of another checkout");

    Result built = build(checkout, "if-possible");
    assertEquals(0, built.status(), built.output());
    assertEquals(1, built.output().lines().count(), built.output());
    assertTrue(built.output().contains("(" + checkout.toRealPath() + ")"), built.output());
    assertTrue(built.output().contains("will compose the clip"), built.output());
    assertFalse(Files.exists(old.resolve("libactclip.so")));

    Result required = build(checkout, "required");
    assertEquals(1, required.status(), required.output());
    assertEquals(1, required.output().lines().count(), required.output());
  }

  private static Result build(Path checkout, String need) throws Exception {
    Path root = checkout.getParent();
    Process process =
        new ProcessBuilder(
                "bash",
                checkout.resolve("build").toString(),
                System.getProperty("java.home"),
                root.resolve("native-work").toString(),
                root.resolve("classes").toString(),
                need)
            .redirectErrorStream(true)
            .start();
    byte[] output = process.getInputStream().readAllBytes();
    return new Result(process.waitFor(), new String(output, StandardCharsets.UTF_8));
  }
}
