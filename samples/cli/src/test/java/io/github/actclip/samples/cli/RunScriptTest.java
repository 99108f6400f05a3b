package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What {@code samples/run} starts: with a checkout that is built, and a java that says its locale.
 */
@EnabledOnOs(OS.LINUX)
class RunScriptTest {

  private static final List<String> SOURCES =
      List.of(
          "native",
          "src/main",
          "samples/quickstart/src/main",
          "samples/cli/src/main",
          "samples/benchmark/src/peers",
          "samples/cli/target");

  @TempDir Path folder;
  private Path checkout;

  @BeforeEach
  void checkOut() throws IOException {
    checkout = checkOutIn("checkout");
  }

  private Path checkOutIn(String name) throws IOException {
    Path root = folder.resolve(name);
    for (String source : SOURCES) {
      Files.createDirectories(root.resolve(source));
    }
    for (String pom : List.of("pom.xml", "samples/pom.xml", "samples/cli/pom.xml")) {
      Files.writeString(root.resolve(pom), "");
    }
    Files.copy(Path.of("../run"), root.resolve("samples/run"));
    Files.writeString(root.resolve("samples/cli/target/built-for-cpu"), "");
    writeProgram("java", "echo \"LC_ALL=$LC_ALL LC_CTYPE=$LC_CTYPE\"");
    return root;
  }

  private void writeProgram(String name, String line) throws IOException {
    Path program = folder.resolve(name);
    Files.writeString(program, "#!/bin/sh\n" + line + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  @ParameterizedTest
  @CsvSource({"LC_ALL, C", "LC_ALL, POSIX", "LANG, C", "LC_CTYPE, POSIX", "LANG, xx_XX.UTF-8"})
  void anAsciiLocaleBecomesOneOfUtf8(String variable, String value) throws Exception {
    String utf8 =
        new String(start(Map.of(), "locale", "-a"), StandardCharsets.US_ASCII)
            .lines()
            .filter(name -> name.matches("(?i)C\\.utf-?8"))
            .findFirst()
            .orElse("");
    assumeTrue(!utf8.isEmpty(), "this machine has no C.UTF-8");
    assertTrue(run(Map.of(variable, value)).startsWith("LC_ALL=" + utf8 + " "));
  }

  @Test
  void aUsersOwnLocaleIsLeftAlone() throws Exception {
    assertEquals("LC_ALL= LC_CTYPE=C.UTF-8", run(Map.of("LC_CTYPE", "C.UTF-8")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"a!", "a:b"})
  void aFolderBelowWhichJavaReadsNoJarIsRefused(String name) throws Exception {
    checkout = checkOutIn(name);
    String sentence = run(Map.of());
    assertTrue(sentence.endsWith(": move " + checkout.toRealPath()), sentence);
    assertEquals(1, sentence.lines().count());
  }

  @ParameterizedTest
  @ValueSource(strings = {"a!b", "a b", "a#b", "a%20b", "-a", "a'b", "a\"b", "a$b", "a*b", "~"})
  void inAnyOtherFolderItStarts(String name) throws Exception {
    checkout = checkOutIn(name);
    assertTrue(run(Map.of("LC_ALL", "C.UTF-8")).startsWith("LC_ALL=C"), name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pom.xml",
        "native/build",
        "src/main/New.java",
        "samples/pom.xml",
        "samples/cli/pom.xml",
        "samples/quickstart/src/main/New.java",
        "samples/cli/src/main/New.java",
        "samples/benchmark/src/peers/New.java"
      })
  void whatIsNewerThanTheBuildIsBuilt(String source) throws Exception {
    writeProgram("mvn", "echo \"mvn $*\"");
    Path changed = checkout.resolve(source);
    Files.writeString(changed, "");
    Files.setLastModifiedTime(changed, FileTime.from(Instant.now().plusSeconds(60)));
    List<String> lines = run(Map.of()).lines().filter(line -> line.startsWith("mvn ")).toList();
    assertEquals(2, lines.size(), lines + "");
    Path root = checkout.toRealPath();
    assertTrue(lines.get(0).contains(" --file " + root + " install "), lines.get(0));
    assertTrue(lines.get(1).contains(" --file " + root + "/samples package "), lines.get(1));
  }

  private String run(Map<String, String> locale) throws Exception {
    byte[] out = start(locale, "bash", checkout.resolve("samples/run").toString(), "info");
    return new String(out, StandardCharsets.UTF_8).trim();
  }

  private byte[] start(Map<String, String> locale, String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.startsWith("LC_") || name.equals("LANG"));
    builder.environment().putAll(locale);
    builder.environment().merge("PATH", folder.toString(), (path, first) -> first + ":" + path);
    Process process = builder.start();
    byte[] out = process.getInputStream().readAllBytes();
    process.waitFor();
    return out;
  }
}
