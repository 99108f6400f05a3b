package io.github.actclip.data;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;

/**
 * Goes through changed images and rows, training and test in turn as a trainer does, and prints by
 * how many MiB the process grew from the tenth round to the last. In a JVM that has touched all of
 * its heap, that is native.
 */
final class LoaderMemoryProbe {

  private static final int WARM_UP = 10;
  private static final int ROUNDS = 60;

  private LoaderMemoryProbe() {}

  public static void main(String[] args) {
    Device cpu = new Device("cpu");
    ImageDataset images = TestData.first(1000);
    Normalization normalization = Normalization.of(images);
    Dataset train = images.transformed(new Augmentation(4, true), normalization);
    Dataset rows = new OneColumn(1000).transformed((data, seeds) -> data.add(data));
    DataLoader training = DataLoader.shuffled(train, 32, 0, cpu);
    DataLoader test = DataLoader.sequential(images.transformed(normalization), 250, cpu);
    DataLoader table = DataLoader.shuffled(rows, 8, 0, cpu);
    long samples = 0;
    long before = 0;
    for (int round = 1; round <= ROUNDS; round++) {
      for (DataLoader loader : new DataLoader[] {training, test, table}) {
        for (Batch batch : loader) {
          samples += batch.target().size(0);
        }
      }
      if (round == WARM_UP) {
        before = Pointer.physicalBytes();
      }
    }
    long grown = (Pointer.physicalBytes() - before) >> 20;
    System.out.println("\n" + samples + " samples, grew by " + grown);
  }
}
