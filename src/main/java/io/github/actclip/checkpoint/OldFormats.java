package io.github.actclip.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Transform;
import io.github.actclip.io.Json;
import io.github.actclip.runtime.Internal;
import java.util.List;

/**
 * Brings what older versions wrote into today's form. Their trainings were of {@code Net} on images
 * of ten classes, by cross-entropy.
 */
@Internal
public final class OldFormats {

  /** The name of the note that says how a {@code Net} is made. */
  private static final String NET = "actclip.net";

  private static final String AUGMENTATION = "augmentation";
  private static final String NORMALIZATION = "normalization";
  private static final String OPTIMIZER = "optimizer";
  private static final String OPTIONS = "options";
  private static final String NOTES = "notes";

  /** What stood beside the optimizer's type, and is now within it. */
  private static final List<String> OF_OPTIMIZER =
      List.of(
          "learning_rate",
          "momentum",
          "weight_decay",
          "threshold_learning_rate_factor",
          "threshold_weight_decay");

  private OldFormats() {}

  /**
   * Upgrades the state of a checkpoint in place, if it is of an older format. It does not say of
   * what kind its network is; the note of its options does.
   */
  static void upgradeState(JsonNode given) {
    if (!(given instanceof ObjectNode state) || !given.has("described_by_options")) {
      return;
    }
    if (!state.has(CheckpointState.RUN)) {
      state.put(CheckpointState.RUN, "");
    }
    boolean described = state.remove("described_by_options").asBoolean();
    String threshold = threshold(state.path("net").path("activation"));
    addTransforms(state);
    addNotes(state, described);
    state.put("network", "").put("loss", "cross-entropy, nats");
    state.putArray("metrics").add("accuracy");
    if (state.path("progress") instanceof ObjectNode progress) {
      upgradeProgress(progress, threshold);
    }
  }

  /** Upgrades the summary of a training in place, if it is of an older format. */
  public static void upgradeSummary(JsonNode given) {
    if (!(given instanceof ObjectNode summary) || !given.has("net")) {
      return;
    }
    String threshold = threshold(summary.path("net").path("activation"));
    addNotes(summary, true);
    summary.put("network", "Net").put("loss", "cross-entropy, nats");
    summary.set("train_samples", summary.remove("train_images"));
    summary.set("test_samples", summary.remove("test_images"));
    ObjectNode confusion = summary.putObject("confusion"); // It was not counted then.
    confusion.putArray("classes");
    confusion.putArray("counts");
    if (summary.path("last") instanceof ObjectNode last) {
      upgradeEpoch(last, threshold);
    }
  }

  /** The name of the first threshold of a Net that limits its activations so. */
  private static String threshold(JsonNode activation) {
    if (activation.path("activation_bits").asInt() > 0) {
      return switch (activation.path("quantization").asText()) {
        case "LSQ", "LSQ_PLUS" -> "act_scale";
        case "TQT" -> "act_raw_max";
        default -> "act_max";
      };
    }
    return switch (activation.path("form").asText()) {
      case "UNTIED" -> "act_cut";
      case "GENERALIZED_RELU" -> "act_bias";
      default ->
          activation.path("parameterization").asText().equals("RAW") ? "act_max" : "act_raw_max";
    };
  }

  private static void addTransforms(ObjectNode state) {
    JsonNode options = state.path(OPTIONS);
    Augmentation augmentation =
        Json.read(options.path(AUGMENTATION), Augmentation.class, AUGMENTATION);
    Normalization normalization =
        Json.read(options.path(NORMALIZATION), Normalization.class, NORMALIZATION);
    if (state.path("train") instanceof ObjectNode train) {
      ArrayNode texts = train.putArray("transforms");
      add(texts, augmentation, Augmentation.none());
      add(texts, normalization, Normalization.none());
    }
    if (state.path("test") instanceof ObjectNode test) {
      add(test.putArray("transforms"), normalization, Normalization.none());
    }
  }

  private static void add(ArrayNode texts, Transform transform, Transform none) {
    if (!transform.equals(none)) {
      texts.add(transform.text());
    }
  }

  /** What was said of the network and of transforms becomes notes. */
  private static void addNotes(ObjectNode root, boolean described) {
    ObjectNode notes = root.putObject(NOTES);
    JsonNode net = root.remove("net");
    if (described) {
      notes.put(NET, net.toString());
    }
    if (root.path(OPTIONS) instanceof ObjectNode options) {
      for (String transform : List.of(AUGMENTATION, NORMALIZATION)) {
        notes.put("actclip." + transform, String.valueOf(options.remove(transform)));
      }
      upgradeOptions(options);
    }
  }

  private static void upgradeOptions(ObjectNode options) {
    JsonNode type = options.get(OPTIMIZER);
    ObjectNode optimizer = options.putObject(OPTIMIZER);
    optimizer.set("type", type);
    for (String name : OF_OPTIMIZER) {
      optimizer.set(name, options.remove(name));
    }
  }

  private static void upgradeProgress(ObjectNode progress, String threshold) {
    if (progress.path("sums") instanceof ObjectNode sums) {
      sums.putObject("metrics").set("accuracy", sums.remove("correct"));
      sums.set("samples", sums.remove("images"));
    }
    progress.putObject("threshold_gradients").set(threshold, progress.remove("threshold_gradient"));
    for (JsonNode epoch : progress.path("epochs")) {
      if (epoch instanceof ObjectNode metrics) {
        upgradeEpoch(metrics, threshold);
      }
    }
  }

  private static void upgradeEpoch(ObjectNode epoch, String threshold) {
    for (String part : List.of("train", "test")) {
      ObjectNode metrics = epoch.putObject(part);
      for (String name : List.of("loss", "accuracy")) {
        metrics.set(name, epoch.remove(part + "_" + name));
      }
    }
    ObjectNode statistics = epoch.putObject("thresholds").putObject(threshold);
    statistics.set("threshold", epoch.remove("act_max"));
    statistics.set("gradient", epoch.remove("threshold_gradient"));
    statistics.set("clip_rate", epoch.remove("clip_rate"));
    statistics.set("histogram", epoch.remove("activations"));
    epoch.set("samples_per_second", epoch.remove("images_per_second"));
  }
}
