package io.github.actclip.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.data.Dataset;
import io.github.actclip.io.Json;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingProgress;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.global.torch;

/**
 * What a checkpoint holds besides tensors.
 *
 * @param format the version of the format
 * @param actclip the version of the library that wrote it
 * @param pytorch the version of the presets
 * @param run the training's {@link Training#run}; empty where an older version wrote it
 * @param device where the training ran
 * @param threads how many threads one operation of LibTorch used
 * @param network the kind of the network, by its {@link Network#toString}; empty where an older
 *     version wrote it
 * @param notes what was said of the training besides
 * @param frozen the names of the thresholds that do not learn
 * @param options how it is trained
 * @param loss what it minimises
 * @param metrics by what else it is judged
 * @param train what it is trained on
 * @param test what it is tested with
 * @param progress where it stood
 */
record CheckpointState(
    int format,
    String actclip,
    String pytorch,
    String run,
    String device,
    int threads,
    String network,
    Map<String, String> notes,
    List<String> frozen,
    TrainerOptions options,
    String loss,
    List<String> metrics,
    Data train,
    Data test,
    TrainingProgress progress) {

  private static final Logger LOG = Loggers.of(CheckpointState.class);

  private static final int FORMAT = 2;
  static final String RUN = "run";

  /** Where a training stands. */
  static CheckpointState of(Training training) {
    RuntimeInfo environment = RuntimeInfo.current();
    return new CheckpointState(
        FORMAT,
        environment.actclip(),
        environment.pytorch(),
        training.run(),
        training.device().str().getString(),
        environment.threads(),
        training.network().toString(),
        training.notes(),
        Snapshot.frozen(training.network()),
        training.options(),
        training.loss().text(),
        training.metrics(),
        Data.of(training.trainData()),
        Data.of(training.testData()),
        training.progress());
  }

  /**
   * Reads what a checkpoint holds.
   *
   * @throws ActclipException bad input when it is of a newer format, or none
   */
  static CheckpointState read(Path file, String text) {
    String what = file + " is not a checkpoint of this version";
    JsonNode json = Json.parse(text, what);
    requireKnownFormat(file, json); // before anything else, which a newer one may have otherwise
    OldFormats.upgradeState(json);
    CheckpointState state = Json.read(json, CheckpointState.class, what);
    if (state.progress().epoch() > state.options().epochs()) {
      throw ActclipException.badInput(
          "%s is not a checkpoint of a training: it is after epoch %d of %d",
          file, state.progress().epoch(), state.options().epochs());
    }
    return state;
  }

  /**
   * Refuses a state of a newer format.
   *
   * @throws ActclipException bad input then
   */
  static void requireKnownFormat(Path file, JsonNode state) {
    long format = state.path("format").asLong();
    if (format > FORMAT) {
      throw ActclipException.badInput(
          "%s has the format %d, and this version of actclip reads up to %d: it was written by %s",
          file, format, FORMAT, state.path("actclip").asText());
    }
  }

  /**
   * Refuses a training that is another one than this, but for its number of epochs, which must not
   * be less than were begun.
   *
   * @param file this one's, for the message
   */
  void requireSame(Path file, Training training) {
    requireKind(file, training.network());
    requireSameNotes(file, training.notes());
    int epochs = training.options().epochs();
    require(file, "options", options.toBuilder().epochs(epochs).build(), training.options());
    require(file, "loss", loss, training.loss().text());
    require(file, "metrics", metrics, training.metrics());
    require(file, "training data", train, training.trainData());
    require(file, "test data", test, training.testData());
    int begun = progress.epoch() + (progress.batch() > 0 ? 1 : 0);
    if (epochs < begun) {
      throw ActclipException.badInput(
          "%s is of epoch %d: a training of %d epochs cannot go on from it", file, begun, epochs);
    }
  }

  /** Says what makes a training, though it is the same, another one than without a break. */
  void warnOfChanges(TrainerOptions now) {
    int used = torch.get_num_threads();
    if (used != threads) {
      LOG.warn(
          "The training began with {} threads and goes on with {}: its bits may differ from those of"
              + " a training without a break",
          threads,
          used);
    }
    if (now.epochs() != options.epochs() && now.schedule().dependsOnLength()) {
      LOG.warn(
          "The training was planned for {} epochs and goes on to {}: from here on its learning rate"
              + " is that of {} over so many epochs",
          options.epochs(),
          now.epochs(),
          now.schedule().type());
    }
  }

  private static void require(Path file, String what, Object then, Object now) {
    if (!then.equals(now)) {
      throw ActclipException.badInput(
          "%s is of another training: it had the %s %s, and this one has %s",
          file, what, then, now);
    }
  }

  /** Refuses a network of another kind, if an older version did not leave that out. */
  void requireKind(Path file, Network other) {
    if (!network.isEmpty() && !network.equals(other.toString())) {
      throw ActclipException.badInput(
          "%s is of another network: it had the network %s, and this one is %s",
          file, network, other);
    }
  }

  /** Those that only one of them has say nothing. */
  private void requireSameNotes(Path file, Map<String, String> now) {
    notes.forEach(
        (name, then) -> {
          String other = now.getOrDefault(name, then);
          if (!other.equals(then)) {
            require(file, "note " + name, then, other);
          }
        });
  }

  private static void require(Path file, String what, Data then, Dataset now) {
    if (!then.isSame(now)) {
      throw ActclipException.badInput(
          "%s is of another training: it had other %s, from %s, than those from %s",
          file, what, then.source(), now.source());
    }
    require(file, "transforms of the " + what, then.transforms(), now.transforms());
  }

  /**
   * A data set, by which another one is told from it.
   *
   * @param source where it is
   * @param size how many samples
   * @param checksum of them
   * @param transforms what changes them on their way
   */
  record Data(String source, int size, long checksum, List<String> transforms) {

    static Data of(Dataset data) {
      return new Data(data.source(), data.size(), data.checksum(), data.transforms());
    }

    boolean isSame(Dataset data) {
      return size == data.size() && checksum == data.checksum();
    }
  }
}
