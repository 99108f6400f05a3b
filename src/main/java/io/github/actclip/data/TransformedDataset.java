package io.github.actclip.data;

import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/** A data set whose data goes through transforms. */
final class TransformedDataset implements Dataset {

  private final Dataset samples;
  private final List<Transform> chain;
  private final long seed;
  private final int epoch;

  TransformedDataset(Dataset samples, List<Transform> chain, long seed, int epoch) {
    this.samples = samples;
    this.chain = chain;
    this.seed = seed;
    this.epoch = epoch;
  }

  @Override
  public Batch batch(int... indices) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch batch = Batch.require(name(), samples.batch(indices), indices.length);
      Tensor data = transformed(batch, indices);
      if (data != batch.data() && batch.target() != batch.data()) {
        batch.data().close(); // It may have come without a scope.
      }
      return new Batch(scope.pass(data), scope.pass(batch.target()));
    }
  }

  private Tensor transformed(Batch batch, int[] indices) {
    Tensor given = batch.data();
    // A view of what the data set keeps is not ours to change, and neither is the target.
    boolean shared = given.storage().use_count() > 1 || given.is_same(batch.target());
    Tensor data = shared ? given.clone() : given;
    long[] seeds = Arrays.stream(indices).mapToLong(i -> Seeds.ofSample(seed, epoch, i)).toArray();
    for (Transform transform : chain) {
      data = transform.apply(data, seeds.clone());
      Batch.requirePart(name() + ", after " + transform.text(), "data", data, indices.length);
      seeds = Arrays.stream(seeds).map(Seeds::next).toArray();
    }
    return data;
  }

  @Override
  public Dataset ofEpoch(long ofSeed, int ofEpoch) {
    return new TransformedDataset(samples.ofEpoch(ofSeed, ofEpoch), chain, ofSeed, ofEpoch);
  }

  /** One chain, so that two of its transforms do not draw the same. */
  @Override
  public Dataset transformed(Transform... transforms) {
    List<Transform> longer = Stream.concat(chain.stream(), Stream.of(transforms)).toList();
    return new TransformedDataset(samples, longer, seed, epoch);
  }

  @Override
  public List<String> transforms() {
    return Stream.concat(samples.transforms().stream(), chain.stream().map(Transform::text))
        .toList();
  }

  @Override
  public Preprocessing preprocessing() {
    Preprocessing made = samples.preprocessing();
    for (Transform transform : chain) {
      made = transform.after(made);
    }
    return made;
  }

  @Override
  public int size() {
    return samples.size();
  }

  @Override
  public String name() {
    return samples.name();
  }

  @Override
  public String source() {
    return samples.source();
  }

  @Override
  public long checksum() {
    return samples.checksum();
  }

  @Override
  public List<String> classes() {
    return samples.classes();
  }
}
