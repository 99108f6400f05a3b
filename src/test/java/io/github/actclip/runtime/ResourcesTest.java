package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResourcesTest {

  private static final byte[] CONTENT = {1, 2, 3};
  private static final String NAME = "folder/file";

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"a", "a!b", "a b", "a#b", "a%20b", "a+b", "a;b", "aéb", "日本"})
  void areReadFromAJarInAnyFolder(String name) throws Exception {
    Charset charset = Charset.forName(System.getProperty("sun.jnu.encoding"));
    assumeTrue(
        charset.newEncoder().canEncode(name), "in this locale files are named in " + charset);
    try (URLClassLoader jar = jarIn(name)) {
      assertArrayEquals(CONTENT, Resources.read(jar.getResource(NAME)));
    }
  }

  /** The JDK takes the folder's mark for the one behind a jar's name. */
  @Test
  void belowAFolderWhoseNameEndsInAnExclamationMarkTheReasonIsTheName() throws Exception {
    try (URLClassLoader jar = jarIn("a!")) {
      URL resource = jar.getResource(NAME);
      assertRefused(() -> Resources.read(resource));
      assertRefused(() -> UnpackedLibraries.unpackFolderOf(resource));
      assertRefused(() -> KernelLibrary.unpack(resource, "file", folder));
    }
  }

  private static void assertRefused(Executable reading) {
    ActclipException e = assertThrows(ActclipException.class, reading);
    assertFalse(e.isBadInput());
    assertTrue(e.getMessage().contains("no folder's name ends in \"!\""), e.getMessage());
    assertTrue(e.getMessage().contains("a!/some.jar!/folder/file"), e.getMessage());
  }

  @Test
  void oneThatIsGoneIsNamed() throws Exception {
    Path file = Files.write(folder.resolve("file"), CONTENT);
    URL resource = file.toUri().toURL();
    Files.delete(file);
    ActclipException e = assertThrows(ActclipException.class, () -> Resources.read(resource));
    assertTrue(e.getMessage().startsWith(resource + " cannot be read: "), e.getMessage());
  }

  private URLClassLoader jarIn(String name) throws IOException {
    Path jar = Files.createDirectory(folder.resolve(name)).resolve("some.jar");
    try (OutputStream file = Files.newOutputStream(jar);
        ZipOutputStream zip = new ZipOutputStream(file)) {
      zip.putNextEntry(new ZipEntry(NAME));
      zip.write(CONTENT);
    }
    return new URLClassLoader(new URL[] {jar.toUri().toURL()}, null);
  }
}
