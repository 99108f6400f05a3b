package io.github.actclip.report;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.checkpoint.OldFormats;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Json;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a training was and what it came to: {@code summary.json} in the folder of a {@link Run}.
 *
 * @param data where the samples came from, such as {@code embedded} or a folder
 * @param dataName what they are
 * @param trainSamples how many the network was trained on
 * @param testSamples how many it was tested with
 * @param device where it ran
 * @param network the kind of the network: the name of its class
 * @param loss what was minimised
 * @param notes what was said of the training besides: see {@link
 *     io.github.actclip.train.Trainer#note}
 * @param options how it was trained
 * @param environment what it ran on
 * @param stopped whether it was ended before its last step
 * @param last the last epoch's numbers, which are those of the saved network
 * @param confusion what the test samples were taken for in the end; without classes before that
 */
public record RunSummary(
    String data,
    String dataName,
    int trainSamples,
    int testSamples,
    String device,
    String network,
    String loss,
    Map<String, String> notes,
    TrainerOptions options,
    RuntimeInfo environment,
    boolean stopped,
    EpochMetrics last,
    ConfusionMatrix confusion) {

  /** Keeps the order of the notes. */
  public RunSummary {
    notes = Collections.unmodifiableMap(new LinkedHashMap<>(notes));
  }

  /** Of a training that was tested at least once. */
  static RunSummary of(
      Training training, RuntimeInfo environment, boolean stopped, ConfusionMatrix confusion) {
    List<EpochMetrics> epochs = training.epochs();
    return new RunSummary(
        training.trainData().source(),
        training.trainData().name(),
        training.trainData().size(),
        training.testData().size(),
        training.device().str().getString(),
        training.network().kind(),
        training.loss().text(),
        training.notes(),
        training.options(),
        environment,
        stopped,
        epochs.get(epochs.size() - 1),
        confusion);
  }

  /**
   * Reads what was saved last, also by an older version.
   *
   * @param folder of the training
   * @throws ActclipException bad input when the folder is none of a training, or its summary is
   *     damaged; a failure when that cannot be read
   */
  public static RunSummary read(Path folder) {
    Path file = folder.resolve(RunFiles.SUMMARY);
    if (!Files.isRegularFile(file)) {
      throw ActclipException.badInput(
          "%s is not the folder of a training: it has no %s", folder, RunFiles.SUMMARY);
    }
    try {
      String what = file + " is not a summary of a training";
      JsonNode summary = Json.parse(Files.readString(file), what);
      OldFormats.upgradeSummary(summary);
      return Json.read(summary, RunSummary.class, what);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  /** How many steps an epoch of the training has. */
  long stepsPerEpoch() {
    return options.stepsPerEpoch(trainSamples);
  }
}
