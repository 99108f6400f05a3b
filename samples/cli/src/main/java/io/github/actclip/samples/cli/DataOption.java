package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.ImageFolder;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Where images come from.
 *
 * @param source as said on the command line or in a summary
 * @param imageSize height and width that a network takes
 * @param randomCrop whether a training sees random parts of them
 */
record DataOption(String source, int imageSize, boolean randomCrop) {

  static final String EMBEDDED = "embedded";

  private static final String TRAIN = "train";
  private static final List<String> TEST = List.of("test", "val", "valid", "validation");

  Dataset load(Split split) {
    if (source.equals(EMBEDDED)) {
      requireOriginalSize();
      return ImageDataset.embedded(split);
    }
    Path folder = FilePath.of(source);
    if (ImageFolder.isAt(folder) && folder.endsWith(TRAIN)) { // as a summary has it
      return load(folder, folder.resolveSibling("."), split);
    }
    if (ImageFolder.isAt(folder.resolve(TRAIN))) {
      return load(folder.resolve(TRAIN), folder, split);
    }
    requireOriginalSize();
    return ImageDataset.load(folder, split);
  }

  private ImageFolder load(Path trainFolder, Path folder, Split split) {
    ImageFolder train = ImageFolder.of(trainFolder).resize(imageSize);
    if (split == Split.TRAIN) {
      return randomCrop ? train.randomResizedCrop() : train;
    }
    return TEST.stream()
        .map(folder::resolve)
        .filter(Files::isDirectory)
        .findFirst()
        .map(train::like)
        .orElseThrow(
            () ->
                ActclipException.badInput(
                    "%s has %s with a folder for each class, and no folder test or val like it",
                    folder.normalize(), TRAIN));
  }

  private void requireOriginalSize() {
    int original = NetOptions.original().imageSize();
    if (randomCrop) {
      throw ActclipException.badInput(
          "The images of %s are %d×%d already: --random-crop is for those in a folder for each class,"
              + " which are resized; here, --crop-padding moves them",
          source, original, original);
    }
    if (imageSize != original) {
      throw ActclipException.badInput(
          "The images of %s are %d×%d and cannot be %d×%d: only those in a folder for each class are"
              + " resized",
          source, original, original, imageSize, imageSize);
    }
  }
}
