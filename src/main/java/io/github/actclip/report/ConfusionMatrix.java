package io.github.actclip.report;

import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.nn.EvaluationMode;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Evaluator;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What the samples of each class were taken for.
 *
 * @param classes the names of the classes, in the order of their numbers; empty where samples have
 *     no classes, or more than 100
 * @param counts how many samples of a class, the first index, were taken for one, the second
 */
public record ConfusionMatrix(List<String> classes, List<List<Long>> counts) {

  /** Of samples without classes. */
  static final ConfusionMatrix NONE = new ConfusionMatrix(List.of(), List.of());

  private static final int MOST_CLASSES = 100;
  private static final int BATCH_SIZE = 250;
  private static final long CLASS_DIMENSION = 1;

  /** Copies the lists. */
  public ConfusionMatrix {
    classes = List.copyOf(classes);
    counts = counts.stream().map(List::copyOf).toList();
  }

  /** By one pass over the samples, in evaluation mode. */
  static ConfusionMatrix of(Network network, Dataset data, Device device) {
    return EvaluationMode.of(network, () -> count(network, data, device));
  }

  private static ConfusionMatrix count(Network network, Dataset data, Device device) {
    try (BatchIterator batches = DataLoader.sequential(data, BATCH_SIZE, device).iterator()) {
      double[] counts = {};
      while (batches.hasNext()) {
        double[] more = count(network, batches);
        if (more.length == 0) {
          return NONE;
        }
        double[] before = counts.length == 0 ? new double[more.length] : counts;
        counts = IntStream.range(0, more.length).mapToDouble(i -> before[i] + more[i]).toArray();
      }
      return of(data.classes(), counts);
    }
  }

  /** Of the next batch, row by row; empty where it has no classes, or too many. */
  private static double[] count(Network network, BatchIterator batches) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch batch = batches.next();
      Tensor output = Evaluator.forward(network, batch.data());
      if (!areClasses(output, batch.target())) {
        return new double[0];
      }
      long classes = output.size(1);
      Tensor taken = output.argmax(new LongOptional(CLASS_DIMENSION), false);
      Tensor cells = batch.target().mul(new Scalar(classes)).add(taken);
      return TensorNumbers.of(torch.bincount(cells, new TensorOptional(), classes * classes));
    }
  }

  private static boolean areClasses(Tensor output, Tensor target) {
    return target.dim() == 1
        && target.scalar_type().intern() == ScalarType.Long
        && output.dim() == 2
        && output.size(1) <= MOST_CLASSES
        && target.min().item_long() >= 0
        && target.max().item_long() < output.size(1);
  }

  private static ConfusionMatrix of(List<String> names, double[] counts) {
    int size = (int) Math.round(Math.sqrt(counts.length));
    List<String> numbers = IntStream.range(0, size).mapToObj(String::valueOf).toList();
    return new ConfusionMatrix(
        names.size() == size ? names : numbers,
        IntStream.range(0, size)
            .mapToObj(row -> Arrays.copyOfRange(counts, row * size, (row + 1) * size))
            .map(row -> Arrays.stream(row).mapToObj(count -> (long) count).toList())
            .toList());
  }

  /** Samples of a class that were taken for another one. */
  record Confusion(int of, int takenFor, long count) {}

  /** The most frequent confusions, the most frequent first. */
  List<Confusion> strongest(int most) {
    return IntStream.range(0, counts.size())
        .boxed()
        .flatMap(this::confusionsOf)
        .filter(confusion -> confusion.count() > 0)
        .sorted((a, b) -> Long.compare(b.count(), a.count()))
        .limit(most)
        .toList();
  }

  private Stream<Confusion> confusionsOf(int row) {
    return IntStream.range(0, counts.size())
        .filter(column -> column != row)
        .mapToObj(column -> new Confusion(row, column, counts.get(row).get(column)));
  }

  /** How many samples of a class there are. */
  long samples(int row) {
    return counts.get(row).stream().mapToLong(Long::longValue).sum();
  }
}
