package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.ImageFolder;
import io.github.actclip.data.Split;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Where images come from.
 *
 * @param source as said on the command line or in a summary
 * @param imageSize height and width that those in a folder for each class are resized to
 * @param randomCrop whether a training sees random parts of those
 */
record DataOption(String source, int imageSize, boolean randomCrop) {

  static final String EMBEDDED = "embedded";

  private static final String TRAIN = "train";
  private static final List<String> TEST = List.of("test", "val", "valid", "validation");

  Dataset load(Split split) {
    if (source.equals(EMBEDDED)) {
      requireNoCrop();
      return ImageDataset.embedded(split);
    }
    Path folder = FilePath.of(source);
    if (ImageFolder.isAt(folder) && folder.endsWith(TRAIN)) { // as a summary has it
      return load(folder, folder.resolveSibling("."), split);
    }
    if (ImageFolder.isAt(folder.resolve(TRAIN))) {
      return load(folder.resolve(TRAIN), folder, split);
    }
    requireNoCrop();
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

  private void requireNoCrop() {
    if (randomCrop) {
      throw ActclipException.badInput(
          "The images of %s are 32×32 already: --random-crop is for those in a folder for each class,"
              + " which are resized; here, --crop-padding moves them",
          source);
    }
  }
}
