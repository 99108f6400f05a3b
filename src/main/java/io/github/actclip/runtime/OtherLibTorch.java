package io.github.actclip.runtime;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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

  private OtherLibTorch() {}

  /**
   * Throws when the process has a LibTorch that is not the one in a folder: that of DJL, or of
   * another version of the presets, in another class loader.
   *
   * @param folder where ours is, loaded or not
   */
  static void requireNoneLoaded(File folder) throws IOException {
    if (!Files.isReadable(MAPS) || Loader.getLoadedLibraries().containsKey(LARGEST)) {
      return; // JavaCPP loaded it for us, from where it was told to.
    }
    Path ours = folder.toPath().resolve(System.mapLibraryName(LARGEST));
    for (Path loaded : loaded()) {
      if (!Files.exists(loaded) || !Files.exists(ours) || !Files.isSameFile(loaded, ours)) {
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

  private static Iterable<Path> loaded() throws IOException {
    try (Stream<String> lines = Files.lines(MAPS, StandardCharsets.ISO_8859_1)) {
      return lines
          .filter(line -> line.contains("/" + System.mapLibraryName(LARGEST)))
          .map(line -> Path.of(line.substring(line.indexOf('/'))))
          .distinct()
          .toList();
    }
  }

  /**
   * Throws when JavaCPP would take a library of the system's in place of ours, which could not be
   * loaded: because its file is damaged, or because another class loader has loaded it. (Without
   * one of the system's, JavaCPP says the first, and helps itself in the second case.)
   *
   * @param library its name without "lib" and ".so"
   */
  static void requireNoneInPlaceOf(String library) {
    inLibraryPath(library)
        .ifPresent(
            other -> {
              throw ActclipException.failure(
                  null,
                  "LibTorch's %s cannot be loaded (another class loader of this JVM has loaded it,"
                      + " or the file in %s is damaged), and %s, which JavaCPP would take, is"
                      + " another LibTorch's: have LibTorch loaded by one class loader that all"
                      + " share, or start with a -Djava.library.path that has no LibTorch",
                  System.mapLibraryName(library),
                  NativeLibraries.cacheFolder(),
                  other);
            });
  }

  private static Optional<File> inLibraryPath(String library) {
    return Stream.of(System.getProperty("java.library.path", "").split(File.pathSeparator))
        .map(folder -> new File(folder, System.mapLibraryName(library)))
        .filter(File::exists)
        .findFirst();
  }
}
