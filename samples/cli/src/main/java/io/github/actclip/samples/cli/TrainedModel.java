package io.github.actclip.samples.cli;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.Split;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import java.nio.file.Path;

/**
 * A trained network that images are to be shown to, as {@code --model} says it.
 *
 * @param preprocessing what was done to the images of its training
 */
record TrainedModel(SavedModel saved, Preprocessing preprocessing) {

  /**
   * Finds it.
   *
   * @param model the folder of a training, or a file of weights
   * @throws io.github.actclip.runtime.ActclipException bad input, when it is neither, or damaged
   */
  static TrainedModel of(Path model) {
    SavedModel saved = SavedModel.of(model);
    return new TrainedModel(saved, preprocessing(saved));
  }

  /** Older weights do not say it, but the data that they were trained with does. */
  private static Preprocessing preprocessing(SavedModel saved) {
    Path weights = saved.weights();
    String text = StateDict.readMetadata(weights).get(Preprocessing.NOTE);
    return text == null
        ? saved.images(null, Split.TEST).preprocessing()
        : Json.read(
            text,
            Preprocessing.class,
            weights + " has a damaged text \"" + Preprocessing.NOTE + "\"");
  }

  /** Serves it; the caller closes it. */
  Predictor predictor(PredictorOptions.Builder options) {
    return Predictor.load(
        saved.weights(), saved::network, options.preprocessing(preprocessing).build());
  }
}
