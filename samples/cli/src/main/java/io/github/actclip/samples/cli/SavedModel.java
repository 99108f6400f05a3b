package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.report.Run;
import io.github.actclip.report.RunSummary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A trained network, as its file or folder describes it.
 *
 * @param weights its file
 * @param data what it was trained with
 * @param classes their names; empty where nobody noted them
 */
record SavedModel(ModelDescription description, Path weights, String data, List<String> classes) {

  /**
   * Reads what a path says.
   *
   * @param path a training's folder, or a file of weights
   */
  static SavedModel of(Path path) {
    if (Files.isRegularFile(path)) {
      ModelDescription description = ModelDescription.of(StateDict.readMetadata(path), path);
      return new SavedModel(description, path, DataOption.EMBEDDED, List.of());
    }
    RunSummary summary = RunSummary.read(path);
    return new SavedModel(
        ModelDescription.of(summary.notes(), path),
        path.resolve(Run.MODEL),
        summary.data(),
        summary.confusion().classes());
  }

  /** Makes it, on the CPU; outside of a scope. */
  Network network() {
    return description.load(weights);
  }

  /** Its images, as it sees them. */
  Dataset images(String source, Split split) {
    int size = description.model().images().size();
    Dataset images = new DataOption(source == null ? data : source, size, false).load(split);
    ImageShape.require(size, images);
    return description.testing(images);
  }
}
