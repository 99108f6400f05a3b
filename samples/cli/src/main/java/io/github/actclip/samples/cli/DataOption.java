package io.github.actclip.samples.cli;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.runtime.FilePath;

/** Where images come from, as said on the command line or in a summary. */
record DataOption(String source) {

  static final String EMBEDDED = "embedded";

  ImageDataset load(Split split) {
    return source.equals(EMBEDDED)
        ? ImageDataset.embedded(split)
        : ImageDataset.load(FilePath.of(source), split);
  }
}
