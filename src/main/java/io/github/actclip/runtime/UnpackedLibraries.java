package io.github.actclip.runtime;

import java.io.File;
import java.io.IOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.util.List;
import java.util.jar.JarEntry;
import org.bytedeco.javacpp.Loader;

/**
 * Takes native libraries out of their jars. All that will be loaded is unpacked before anything is:
 * a class whose library had no room on the disk cannot be used in that JVM again.
 */
final class UnpackedLibraries {

  /** A second copy of a library, which the presets load under a name of its own. */
  private static final String OPENBLAS = "libopenblas.so.0";

  private static final String SECOND_OPENBLAS = "libopenblas_nolapack.so.0";

  private UnpackedLibraries() {}

  /** The library by which presets reach native code, or null where they have none. */
  static URL jniLibrary(String presets, String extension, String name) {
    return resource(presets, extension, System.mapLibraryName(name));
  }

  private static URL resource(String presets, String extension, String file) {
    return UnpackedLibraries.class.getResource(
        "/org/bytedeco/" + presets + "/" + LibTorch.platform() + extension + "/" + file);
  }

  /** The folder in which LibTorch's libraries are when they are unpacked. */
  static File folderOf(URL jniLibrary) throws IOException {
    if (jniLibrary.openConnection() instanceof JarURLConnection jar) {
      Resources.jar(jar); // What cannot be opened is not for want of room.
      return Loader.cacheResource(jniLibrary).getParentFile();
    }
    return new File(URI.create(jniLibrary.toString())).getParentFile();
  }

  /** Unpacks LibTorch's libraries, and what its presets need of others. */
  static void unpackFor(URL jniLibrary) throws IOException {
    unpackFolderOf(jniLibrary);
    unpackFolderOf(jniLibrary("javacpp", "", "jnijavacpp"));
    unpackFolderOf(jniLibrary("openblas", "", "jniopenblas"));
    URL openblas = resource("openblas", "", OPENBLAS);
    if (openblas != null) {
      Loader.cacheResource(new URL(openblas + "#" + SECOND_OPENBLAS));
    }
  }

  static void unpackFolderOf(URL library) throws IOException {
    if (library == null || !(library.openConnection() instanceof JarURLConnection jar)) {
      return; // None for this platform, which loading says; or a file already.
    }
    String entry = jar.getEntryName();
    String folder = entry.substring(0, entry.lastIndexOf('/') + 1);
    List<String> libraries =
        Resources.jar(jar).stream()
            .filter(e -> !e.isDirectory() && e.getName().startsWith(folder))
            .map(JarEntry::getName)
            .filter(name -> name.lastIndexOf('/') < folder.length()) // no headers
            .filter(name -> !name.endsWith(".cpp") && !name.contains("jniopenblas_full"))
            .toList();
    for (String file : libraries) {
      Loader.cacheResource(UnpackedLibraries.class, "/" + file);
    }
  }
}
