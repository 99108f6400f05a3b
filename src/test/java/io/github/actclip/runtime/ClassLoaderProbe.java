package io.github.actclip.runtime;

import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Loader;

/** Loads LibTorch in class loaders that share nothing but the JVM, and prints what comes of it. */
final class ClassLoaderProbe {

  private ClassLoaderProbe() {}

  public static void main(String[] args) throws Exception {
    load("1", classLoader());
    ClassLoader second = classLoader();
    load("2", second);
    load("2", second);
    Path otherCache = Files.createTempDirectory("other-cache");
    System.setProperty("org.bytedeco.javacpp.cachedir", otherCache.toString());
    load("3", classLoader());
    Loader.deleteDirectory(otherCache.toFile());
  }

  private static void load(String name, ClassLoader loader) throws Exception {
    try {
      Class.forName(LibTorch.class.getName(), true, loader).getMethod("load").invoke(null);
      System.out.println(name + ": loaded");
    } catch (InvocationTargetException e) {
      System.out.println(name + ": refused: " + e.getCause().getMessage());
    }
  }

  private static ClassLoader classLoader() throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
      urls.add(Path.of(path).toUri().toURL());
    }
    return new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
  }
}
