package io.github.actclip.samples.quickstart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.op.ClipOp;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * The project in {@code samples/application}, as on another machine: no compiler, a Maven
 * repository that is empty, and for the public one what this machine's has.
 */
@EnabledOnOs(OS.LINUX)
class ApplicationTest {

  private static final Path PROJECT = Path.of("../application");

  /** All that there is on that machine beside the JDK: Maven, and what its script needs. */
  private static final List<String> PROGRAMS =
      List.of("mvn", "sh", "uname", "dirname", "basename", "expr", "ls");

  private static final Path JDK = Path.of(System.getProperty("java.home"));

  private static final String SETTINGS =
      """
      <settings>
        <mirrors>
          <mirror>
            <id>public</id>
            <mirrorOf>*</mirrorOf>
            <url>%s</url>
          </mirror>
        </mirrors>
        <profiles>
          <profile>
            <id>snapshots</id>
            <activation><activeByDefault>true</activeByDefault></activation>
            <repositories>
              <repository>
                <id>central</id>
                <url>https://repo.maven.apache.org/maven2</url>
                <releases><checksumPolicy>ignore</checksumPolicy></releases>
                <snapshots><enabled>true</enabled><checksumPolicy>ignore</checksumPolicy></snapshots>
              </repository>
            </repositories>
          </profile>
        </profiles>
      </settings>
      """;

  @TempDir Path machine;
  private Path programs;
  private Path project;

  @BeforeEach
  void setUp() throws IOException {
    programs = Files.createDirectory(machine.resolve("bin"));
    for (String program : PROGRAMS) {
      Files.createSymbolicLink(programs.resolve(program), find(program));
    }
    Files.createSymbolicLink(programs.resolve("java"), JDK.resolve("bin/java"));
    project = machine.resolve("shop");
    try (Stream<Path> files = Files.walk(PROJECT)) {
      for (Path file : files.filter(file -> !file.startsWith(PROJECT.resolve("target"))).toList()) {
        Files.copy(file, project.resolve(PROJECT.relativize(file).toString()));
      }
    }
    Path known = Path.of(System.getProperty("localRepository")); // Surefire says where it is
    Files.writeString(
        machine.resolve("settings.xml"), String.format(Locale.ROOT, SETTINGS, known.toUri()));
  }

  /** JUnit warns of every link that it finds. */
  @AfterEach
  void removeLinks() throws IOException {
    try (Stream<Path> links = Files.list(programs)) {
      for (Path link : links.toList()) {
        Files.delete(link);
      }
    }
  }

  private static Path find(String program) throws IOException {
    for (String folder : System.getenv("PATH").split(":")) {
      Path file = Path.of(folder, program);
      if (Files.isExecutable(file)) {
        return file.toRealPath();
      }
    }
    throw new AssertionError("there is no " + program + " on the PATH");
  }

  @Test
  void itBuildsTrainsAndPredictsWithTheKernelsOfTheJar() throws Exception {
    run(
        "mvn",
        "--batch-mode",
        "--quiet",
        "--settings=" + machine.resolve("settings.xml"),
        "-Dmaven.repo.local=" + machine.resolve("repository"),
        "package");
    List<String> out = run("java", "-jar", project.resolve("target/shop.jar").toString());
    assertTrue(out.contains("kernels: " + ClipOp.backend()), out + "");
    assertTrue(out.stream().anyMatch(line -> line.startsWith("prediction: trouser, ")), out + "");
    assertTrue(Files.exists(project.resolve("runs/shop/model.safetensors")));
  }

  private List<String> run(String program, String... args) throws Exception {
    List<String> command = new ArrayList<>(List.of(programs.resolve(program).toString()));
    Collections.addAll(command, args);
    Path out = machine.resolve(program + ".out");
    Path err = machine.resolve(program + ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(project.toFile())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile());
    builder.environment().keySet().removeIf(name -> name.matches("CC|CXX|JAVA_.*|JDK_.*|MAVEN_.*"));
    builder.environment().put("PATH", programs.toString());
    builder.environment().put("JAVA_HOME", JDK.toString());
    // Both end before the code that the second compiler makes would pay for the making.
    builder.environment().put("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
    int status = builder.start().waitFor();
    List<String> lines = Files.readAllLines(out);
    assertEquals(0, status, () -> program + ": " + lines + read(err));
    return lines;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
