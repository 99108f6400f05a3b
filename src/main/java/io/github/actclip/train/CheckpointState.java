package io.github.actclip.train;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.nn.NetOptions;
import java.util.List;

/**
 * What a checkpoint holds besides tensors.
 *
 * @param format the version of the format
 * @param actclip the version of the library that wrote it
 * @param pytorch the version of the presets
 * @param device where the training ran
 * @param threads how many threads one operation of LibTorch used
 * @param net the network's shape
 * @param describedByOptions whether that is all that the network is
 * @param frozen the names of the thresholds that do not learn
 * @param options how it is trained
 * @param train the images that it is trained on
 * @param test the images that it is tested with
 * @param progress where it stood
 */
record CheckpointState(
    int format,
    String actclip,
    String pytorch,
    String device,
    int threads,
    NetOptions net,
    boolean describedByOptions,
    List<String> frozen,
    TrainerOptions options,
    Images train,
    Images test,
    TrainingProgress progress) {

  /**
   * A data set, by which another one is told from it.
   *
   * @param source where it is
   * @param size how many images
   * @param checksum of pixels and labels
   */
  record Images(String source, int size, long checksum) {

    static Images of(ImageDataset images) {
      return new Images(images.source(), images.size(), images.checksum());
    }

    boolean isSame(ImageDataset images) {
      return size == images.size() && checksum == images.checksum();
    }
  }
}
