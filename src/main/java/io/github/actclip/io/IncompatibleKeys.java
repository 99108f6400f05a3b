package io.github.actclip.io;

import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorMeaning;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;

/**
 * What keeps a state from fitting a module, under the names that PyTorch's {@code load_state_dict}
 * returns it by.
 *
 * @param missingKeys names of the module's tensors for which the state has no value
 * @param unexpectedKeys names in the state that the module does not have
 * @param mismatchedShapes names that both have, with different shapes
 * @param mismatchedMeanings names that both have, with different {@link TensorMeaning}s
 */
public record IncompatibleKeys(
    List<String> missingKeys,
    List<String> unexpectedKeys,
    List<MismatchedShape> mismatchedShapes,
    List<MismatchedMeaning> mismatchedMeanings) {

  /** More than these of a kind are no help to a reader: a network has hundreds. */
  private static final int MOST_SHOWN = 5;

  /** Makes the lists unmodifiable. */
  public IncompatibleKeys {
    missingKeys = List.copyOf(missingKeys);
    unexpectedKeys = List.copyOf(unexpectedKeys);
    mismatchedShapes = List.copyOf(mismatchedShapes);
    mismatchedMeanings = List.copyOf(mismatchedMeanings);
  }

  /**
   * A value that has another shape than the module's tensor of that name.
   *
   * @param shape the value's
   * @param expected the module's
   */
  public record MismatchedShape(String key, List<Long> shape, List<Long> expected) {

    private static MismatchedShape of(String key, Tensor value, Tensor own) {
      return new MismatchedShape(key, sizes(value), sizes(own));
    }

    private static List<Long> sizes(Tensor tensor) {
      return Arrays.stream(tensor.shape()).boxed().toList();
    }

    @Override
    public String toString() {
      return key + " of shape " + shape + " instead of " + expected;
    }
  }

  /**
   * A value whose numbers mean something else than those of the module's tensor of that name.
   *
   * @param meaning the value's
   * @param expected the module's
   */
  public record MismatchedMeaning(String key, String meaning, String expected) {

    private static Optional<MismatchedMeaning> of(String key, Tensor value, Tensor own) {
      Optional<String> expected = TensorMeaning.of(own);
      return TensorMeaning.of(value)
          .filter(meaning -> expected.isPresent() && !meaning.equals(expected.get()))
          .map(meaning -> new MismatchedMeaning(key, meaning, expected.get()));
    }

    @Override
    public String toString() {
      return key
          + " is stored as "
          + TensorInfo.quoted(meaning)
          + " and used as "
          + TensorInfo.quoted(expected);
    }
  }

  static IncompatibleKeys between(Map<String, Tensor> own, Map<String, Tensor> state) {
    List<String> missing = new ArrayList<>();
    List<MismatchedShape> shapes = new ArrayList<>();
    List<MismatchedMeaning> meanings = new ArrayList<>();
    own.forEach(
        (name, tensor) -> {
          Tensor value = state.get(name);
          if (!Arguments.isTensor(value)) {
            missing.add(name);
          } else if (!Arrays.equals(value.shape(), tensor.shape())) {
            shapes.add(MismatchedShape.of(name, value, tensor));
          } else {
            MismatchedMeaning.of(name, value, tensor).ifPresent(meanings::add);
          }
        });
    List<String> unexpected = state.keySet().stream().filter(n -> !own.containsKey(n)).toList();
    return new IncompatibleKeys(missing, unexpected, shapes, meanings);
  }

  /** Whether the state fits: there is no such name. */
  public boolean isEmpty() {
    return missingKeys.isEmpty()
        && unexpectedKeys.isEmpty()
        && mismatchedShapes.isEmpty()
        && mismatchedMeanings.isEmpty();
  }

  /** Whether the module's tensor of that name has a value that fits. */
  boolean fits(String key) {
    return !missingKeys.contains(key)
        && mismatchedShapes.stream().noneMatch(mismatch -> mismatch.key().equals(key))
        && mismatchedMeanings.stream().noneMatch(mismatch -> mismatch.key().equals(key));
  }

  /** The names, in one line; of many, the first few and how many more there are. */
  @Override
  public String toString() {
    List<String> kinds = new ArrayList<>();
    addListed(kinds, "missing", missingKeys, name -> name);
    addListed(kinds, "unexpected", unexpectedKeys, TensorInfo::quoted);
    addListed(kinds, "wrong", mismatchedShapes, MismatchedShape::toString);
    addListed(kinds, "of another meaning", mismatchedMeanings, MismatchedMeaning::toString);
    return String.join("; ", kinds);
  }

  private static <T> void addListed(
      List<String> kinds, String kind, List<T> all, Function<T, String> text) {
    if (all.isEmpty()) {
      return;
    }
    String shown = all.stream().limit(MOST_SHOWN).map(text).collect(Collectors.joining(", "));
    int more = all.size() - MOST_SHOWN;
    kinds.add(kind + ": " + shown + (more > 0 ? " and " + more + " more" : ""));
  }
}
