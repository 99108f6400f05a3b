package io.github.actclip.runtime;

import java.io.File;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;

/**
 * Looks for a LibTorch that would come into the process beside the one that we load: two of them
 * kill it. Linux only.
 */
final class OtherLibTorch {

  private static final String LARGEST = "torch_cpu";

  /** Everything that is mapped into this process, a line each; the file's path comes last. */
  private static final Path MAPS = Path.of("/proc/self/maps");

  private static final Charset OF_PATHS =
      Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

  private OtherLibTorch() {}

  /**
   * Throws when the process has a LibTorch that is not the one in a folder: that of DJL, or of
   * another version of the presets, in another class loader.
   *
   * @param folder where ours is, loaded or not
   */
  static void requireNoneLoaded(File folder) throws IOException {
    if (Loader.getLoadedLibraries().containsKey(LARGEST)) {
      return; // JavaCPP loaded it for us, from where it was told to.
    }
    File ours = new File(folder, System.mapLibraryName(LARGEST)).getCanonicalFile();
    for (File loaded : loaded(LARGEST)) {
      if (!loaded.getCanonicalFile().equals(ours)) {
        throw ActclipException.failure(
            null,
            "this process has loaded another LibTorch, %s, and two in one process kill it:"
                + " let one class loader load LibTorch for all, or give actclip's (%s) a process of"
                + " its own",
            loaded,
            ours);
      }
    }
  }

  /**
   * Throws when another class loader has loaded a library of ours, and JavaCPP would take one of
   * the system's in its place. (Where the system has none, JavaCPP helps itself.)
   *
   * @param library its name without "lib" and ".so"; this class loader could not load it
   */
  static void requireNoneInPlaceOf(String library) {
    if (loaded(library).isEmpty()) {
      return; // Its file is damaged, which JavaCPP says.
    }
    inLibraryPath(library)
        .ifPresent(
            other -> {
              throw ActclipException.failure(
                  null,
                  "another class loader of this JVM has loaded LibTorch, and for this one JavaCPP"
                      + " would take %s, of another LibTorch, which kills the JVM: have LibTorch"
                      + " loaded by one class loader that all share, or start with a"
                      + " -Djava.library.path that has no LibTorch",
                  other);
            });
  }

  /** The files of that name that this process has loaded; none where the system does not tell. */
  private static List<File> loaded(String library) {
    try {
      return new String(Files.readAllBytes(MAPS), OF_PATHS)
          .lines()
          .filter(line -> line.contains("/" + System.mapLibraryName(library)))
          .map(line -> new File(line.substring(line.indexOf('/'))))
          .distinct()
          .toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  private static Optional<File> inLibraryPath(String library) {
    return Stream.of(System.getProperty("java.library.path", "").split(File.pathSeparator))
        .map(folder -> new File(folder, System.mapLibraryName(library)))
        .filter(File::exists)
        .findFirst();
  }
}
