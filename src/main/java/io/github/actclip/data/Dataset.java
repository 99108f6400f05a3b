package io.github.actclip.data;

import java.util.List;

/**
 * Samples of which each has a number from 0 on, for a {@link DataLoader} to make batches of.
 *
 * <p>One of your own says how many there are, makes a batch, and tells itself from others:
 *
 * <pre>{@code
 * final class Sine implements Dataset {
 *   @Override public int size() { return 1000; }
 *
 *   @Override public Batch batch(int... indices) {
 *     try (TensorScope scope = new TensorScope()) {
 *       Tensor x = torch.tensor(indices).div(new Scalar(100.0)).unsqueeze(1);
 *       return new Batch(scope.pass(x), scope.pass(x.sin()));
 *     }
 *   }
 *
 *   @Override public String name() { return "a sine"; }
 *
 *   @Override public long checksum() { return 1; }
 * }
 * }</pre>
 *
 * <p>A data set is read by several threads at once, and gives them the same samples each time.
 */
public interface Dataset {

  /** How many samples there are; at least one, and always as many. */
  int size();

  /**
   * Makes a batch of samples. Called on a loader's thread, without gradients, while the batch
   * before is in use; by several threads at once where there are several loops.
   *
   * @param indices which, in this order; each from 0 to {@link #size} − 1, at least one
   * @return tensors on the CPU whose first dimension is that of the samples, and whose memory is
   *     theirs alone, since transforms change it. They are the caller's to close, or its scope's:
   *     hand them out of one of your own by {@link io.github.actclip.runtime.TensorScope#pass}
   * @throws io.github.actclip.runtime.ActclipException bad input, when there is no such sample.
   *     What else a data set throws reaches whoever asks the loader for that batch
   */
  Batch batch(int... indices);

  /** What it is, for a person to read: "Fashion-MNIST subset". */
  String name();

  /** Where it is from, such as a file's path; its name where nothing else is said. */
  default String source() {
    return name();
  }

  /**
   * A number by which a training that goes on notices that these are other samples than it began
   * with: the same in every JVM for the same samples. It may take a while when first asked.
   */
  long checksum();

  /**
   * The names of the classes, by their numbers, for a person to read; empty where targets are no
   * classes, or these have no names.
   */
  default List<String> classes() {
    return List.of();
  }

  /**
   * What changes the samples on their way: the {@link Transform#text texts} of the transforms, in
   * their order, by which a training that goes on notices others.
   */
  default List<String> transforms() {
    return List.of();
  }

  /**
   * What it takes to make such a sample of something else, such as of an image's file, so that a
   * network that was tested with these can be asked about others. By default, the shape of the
   * first sample's values and the names of the classes.
   */
  default Preprocessing preprocessing() {
    return Preprocessing.ofValues(this);
  }

  /**
   * The samples as that epoch of a training sees them: others only where something is left to
   * chance, which depends on seed, epoch and a sample's number alone.
   */
  default Dataset ofEpoch(long seed, int epoch) {
    return this;
  }

  /**
   * A view of these samples, whose data goes through the transforms, in order; targets stay as they
   * are. Where something is left to chance it is the same each time until {@link #ofEpoch} is
   * called, as {@link DataLoader#shuffled} does. So what a network is tested with is simply not
   * given a transform that changes it by chance.
   */
  default Dataset transformed(Transform... transforms) {
    return new TransformedDataset(this, List.of(transforms), 0, 0);
  }
}
