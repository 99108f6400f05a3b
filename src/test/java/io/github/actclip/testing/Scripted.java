package io.github.actclip.testing;

import java.nio.file.Path;

/** Files that make_scripted_fixture.py wrote. */
public final class Scripted {

  private static final Path FOLDER = Path.of("src/test/resources/fixtures/scripted");

  private Scripted() {}

  public static Path file(String name) {
    return FOLDER.resolve(name + ".pt");
  }
}
