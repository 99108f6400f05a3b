package io.github.actclip.samples.cli;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.Split;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.report.Run;
import io.github.actclip.report.RunSummary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * A network with its weights, as {@code --model} of a trained one says it.
 *
 * @param weights the file
 * @param preprocessing what was done to the images of its training
 */
record TrainedModel(Path weights, ModelDescription description, Preprocessing preprocessing) {

  /**
   * Finds it.
   *
   * @param model the folder of a training, or a file of weights
   * @throws io.github.actclip.runtime.ActclipException bad input, when it is neither, or damaged
   */
  static TrainedModel of(Path model) {
    boolean isFolder = !Files.isRegularFile(model);
    String data = isFolder ? RunSummary.read(model).data() : ImageDataset.EMBEDDED;
    Path weights = isFolder ? model.resolve(Run.MODEL) : model;
    Map<String, String> texts = StateDict.readMetadata(weights);
    ModelDescription description = ModelDescription.of(texts, weights);
    return new TrainedModel(weights, description, preprocessing(texts, weights, description, data));
  }

  /** Older weights do not say it, but the data that they were trained with does. */
  private static Preprocessing preprocessing(
      Map<String, String> texts, Path weights, ModelDescription description, String data) {
    String text = texts.get(Preprocessing.NOTE);
    if (text == null) {
      int size = description.model().images().size();
      return description
          .testing(new DataOption(data, size, false).load(Split.TEST))
          .preprocessing();
    }
    return Json.read(
        text, Preprocessing.class, weights + " has a damaged text \"" + Preprocessing.NOTE + "\"");
  }

  /** Serves it; the caller closes it. */
  Predictor predictor(PredictorOptions.Builder options) {
    return Predictor.load(
        weights, () -> description.load(weights), options.preprocessing(preprocessing).build());
  }
}
