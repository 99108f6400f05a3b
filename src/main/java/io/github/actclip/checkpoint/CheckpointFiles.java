package io.github.actclip.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Json;
import io.github.actclip.io.Safetensors;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.logging.log4j.Logger;

/** The checkpoints of a folder by their files: {@code step-0000000063.safetensors} and so on. */
final class CheckpointFiles {

  private static final Logger LOG = Loggers.of(CheckpointFiles.class);

  private static final String PREFIX = "step-";
  private static final String SUFFIX = ".safetensors";
  private static final String NAME = PREFIX + "%010d" + SUFFIX;
  private static final String PATTERN = PREFIX + "\\d{10,18}\\" + SUFFIX;
  private static final String ASIDE = "abandoned";

  private CheckpointFiles() {}

  /** Those that are there, damaged ones too, newest first. */
  static List<Path> in(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(path -> path.getFileName().toString().matches(PATTERN))
          .sorted(Comparator.comparingLong(CheckpointFiles::stepOf).reversed())
          .toList();
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", folder, AtomicFile.reason(e));
    }
  }

  /** The file of one step. */
  static Path of(Path folder, long step) {
    return folder.resolve(String.format(Locale.ROOT, NAME, step));
  }

  /** The step that the name of a checkpoint's file says. */
  static long stepOf(Path file) {
    String name = file.getFileName().toString();
    return Long.parseLong(name.substring(PREFIX.length(), name.length() - SUFFIX.length()));
  }

  /** The first that is of another training than {@code run}; damaged ones are left out. */
  static Optional<Path> another(List<Path> files, String run) {
    return files.stream()
        .filter(file -> runOf(file).map(its -> !its.equals(run)).orElse(false))
        .findFirst();
  }

  private static Optional<String> runOf(Path file) {
    return stateOf(file).map(state -> state.path(CheckpointState.RUN).asText());
  }

  /**
   * Refuses a checkpoint of a newer format; one that is damaged is left to who reads it.
   *
   * @throws ActclipException bad input then
   */
  static void requireKnownFormat(Path file) {
    stateOf(file).ifPresent(state -> CheckpointState.requireKnownFormat(file, state));
  }

  private static Optional<JsonNode> stateOf(Path file) {
    try {
      String text = Safetensors.readMetadata(file).get(Checkpoint.STATE);
      return Optional.ofNullable(text).map(state -> Json.parse(state, file + " is damaged"));
    } catch (ActclipException e) { // It is damaged.
      return Optional.empty();
    }
  }

  /**
   * Moves those of later steps to a folder of their own: a training does not go on from them,
   * because they are damaged, or because an older one was chosen.
   */
  static void setAside(Path folder, long step) {
    List<Path> later = in(folder).stream().filter(file -> stepOf(file) > step).toList();
    if (later.isEmpty()) {
      return;
    }
    Path aside = AtomicFile.createNewFolder(folder.resolve(ASIDE));
    for (Path file : later) {
      try {
        Files.move(file, aside.resolve(file.getFileName()));
      } catch (IOException e) {
        throw ActclipException.failure(
            e, "%s cannot be moved to %s: %s", file, aside, AtomicFile.reason(e));
      }
    }
    LOG.warn("The training goes on from step {}: later checkpoints were moved to {}", step, aside);
  }

  /** Deletes all but the newest. */
  static void deleteOld(Path folder, int keep) {
    List<Path> all = in(folder);
    for (Path file : all.subList(Math.min(keep, all.size()), all.size())) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        LOG.warn("The old checkpoint {} cannot be deleted: {}", file, AtomicFile.reason(e));
      }
    }
  }

  /** Whether that is the name of what a process that was killed left half written. */
  static boolean isUnfinished(String name) {
    return name.startsWith("." + PREFIX);
  }

  /** Deletes what a process that was killed left half written. */
  static void deleteUnfinished(Path folder) {
    try {
      AtomicFile.deleteUnfinished(folder, "." + PREFIX);
    } catch (IOException e) {
      LOG.warn("{} cannot be cleaned up: {}", folder, AtomicFile.reason(e));
    }
  }
}
