package io.github.actclip.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.actclip.runtime.Internal;
import java.util.List;

/** Brings what older versions wrote into today's form. */
@Internal
public final class OldFormats {

  private static final String OPTIMIZER = "optimizer";

  /** What stood beside the optimizer's type, and is now within it. */
  private static final List<String> OF_OPTIMIZER =
      List.of(
          "learning_rate",
          "momentum",
          "weight_decay",
          "threshold_learning_rate_factor",
          "threshold_weight_decay");

  private OldFormats() {}

  /** Upgrades the options of a training in place; those of today stay as they are. */
  public static void upgradeOptions(JsonNode options) {
    if (options instanceof ObjectNode old && old.path(OPTIMIZER).isTextual()) {
      JsonNode type = old.get(OPTIMIZER);
      ObjectNode optimizer = old.putObject(OPTIMIZER);
      optimizer.set("type", type);
      for (String name : OF_OPTIMIZER) {
        if (old.has(name)) {
          optimizer.set(name, old.remove(name));
        }
      }
    }
  }
}
