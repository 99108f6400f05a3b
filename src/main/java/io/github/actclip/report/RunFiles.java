package io.github.actclip.report;

import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** The names of what trainings leave in their folders. */
final class RunFiles {

  static final String METRICS = "metrics.jsonl";
  static final String TABLE = "metrics.csv";
  static final String MODEL = "model.safetensors";
  static final String MODULE = "module.pt";
  static final String SUMMARY = "summary.json";
  static final String REPORT = "report.html";
  static final String LISTENERS = "listeners.properties";
  static final String CHECKPOINTS = "checkpoints";

  private static final List<String> ALL =
      List.of(
          METRICS,
          TABLE,
          StepLog.FILE,
          TensorBoardListener.FOLDER,
          MODEL,
          MODULE,
          SUMMARY,
          REPORT,
          LISTENERS,
          CHECKPOINTS);

  private RunFiles() {}

  /**
   * Refuses a folder that holds anything of a training. What a start that failed may leave, empty
   * files and folders without results, is nothing.
   */
  static void requireUnused(Path folder) {
    for (String name : ALL) {
      Path path = folder.resolve(name);
      try {
        if (Files.exists(path) && !isEmpty(path)) {
          throw alreadyUsed(folder, name);
        }
      } catch (IOException e) {
        throw ActclipException.failure(e, "%s cannot be read: %s", path, AtomicFile.reason(e));
      }
    }
  }

  static ActclipException alreadyUsed(Path folder, String name) {
    return ActclipException.badInput(
        "%s already holds the results of a training (%s): name another folder", folder, name);
  }

  private static boolean isEmpty(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return Files.size(path) == 0;
    }
    try (Stream<Path> content = Files.list(path)) {
      return path.endsWith(TensorBoardListener.FOLDER)
          ? content.allMatch(TensorBoardListener::isWithoutPoints)
          : content.allMatch(Checkpointer::isNothing);
    }
  }

  /**
   * Deletes all of it.
   *
   * @param withFolder the folder, too, if nothing else is in it
   */
  static void delete(Path folder, boolean withFolder) {
    try {
      for (String name : ALL) {
        deleteWithContent(folder.resolve(name));
      }
      if (withFolder) {
        Files.deleteIfExists(folder);
      }
    } catch (DirectoryNotEmptyException e) {
      return; // Something of somebody else's is in it.
    } catch (IOException e) {
      throw ActclipException.failure(
          e, "%s cannot be cleaned up: %s", folder, AtomicFile.reason(e));
    }
  }

  /** A link stays, which only its owner can have made. */
  private static void deleteWithContent(Path path) throws IOException {
    if (Files.exists(path)) {
      Path real = path.toRealPath();
      try (Stream<Path> all = Files.walk(real)) {
        for (Path inner : all.sorted(Comparator.reverseOrder()).toList()) {
          if (!inner.equals(real) || !Files.isSymbolicLink(path)) {
            Files.delete(inner);
          }
        }
      }
    }
  }
}
