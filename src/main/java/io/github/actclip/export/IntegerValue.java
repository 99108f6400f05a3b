package io.github.actclip.export;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/**
 * Activations on the way to integers: codes already, or sums that wait to be told what their codes
 * are to stand for.
 */
final class IntegerValue {

  /**
   * Codes in a plan.
   *
   * @param place where in the plan they are
   */
  record Coded(int place, Grid grid) {}

  /** Weights that batch normalisation may become a part of, and the operation with them. */
  record Foldable(
      IntegerWeights weights, Function<IntegerWeights, IntegerOperation> operation, int input) {

    Foldable then(ChannelMap map) {
      return new Foldable(weights.then(map), operation, input);
    }

    Call call() {
      return new Call(operation.apply(weights), input);
    }
  }

  /**
   * An operation of the plan.
   *
   * @param inputs where in the plan is what it is of
   */
  record Call(IntegerOperation operation, int... inputs) {}

  /**
   * Sums that wait.
   *
   * @param call what gives them, by what their codes are to stand for
   * @param after layers that codes go through as well as what they stand for
   * @param rectified whether a ReLU is behind
   */
  record Sums(
      Function<Grid, Call> call,
      Optional<Foldable> foldable,
      List<IntegerLayer> after,
      boolean rectified) {

    static Sums of(Function<Grid, Call> call) {
      return new Sums(call, Optional.empty(), List.of(), false);
    }

    static Sums of(IntegerOperation operation, int... inputs) {
      return of(grid -> new Call(operation, inputs));
    }

    static Sums of(Foldable foldable) {
      return new Sums(grid -> foldable.call(), Optional.of(foldable), List.of(), false);
    }

    /** Nothing more becomes a part of the weights then. */
    Sums then(IntegerLayer layer) {
      List<IntegerLayer> layers = new ArrayList<>(after);
      layers.add(layer);
      return new Sums(call, Optional.empty(), layers, rectified);
    }

    Sums thenRelu() {
      return new Sums(call, Optional.empty(), after, true);
    }

    /** Whether nothing is behind the operation. */
    boolean isBare() {
      return after.isEmpty() && !rectified;
    }
  }

  private final Tensor samples;
  private final Optional<Sums> sums;
  private Optional<Coded> coded;

  private IntegerValue(Tensor samples, Optional<Sums> sums, Optional<Coded> coded) {
    this.samples = samples;
    this.sums = sums;
    this.coded = coded;
  }

  static IntegerValue of(Tensor samples, Sums sums) {
    return new IntegerValue(samples, Optional.of(sums), Optional.empty());
  }

  static IntegerValue of(Tensor samples, Coded coded) {
    return new IntegerValue(samples, Optional.empty(), Optional.of(coded));
  }

  /** What they are for the data that is calibrated with, in floating point. */
  Tensor samples() {
    return samples;
  }

  Optional<Sums> sums() {
    return sums;
  }

  /** The codes, or, where they are not there yet, some for one use. */
  Coded codedFor(Function<Sums, Coded> maker) {
    return coded.or(() -> sums.map(maker)).orElseThrow();
  }

  /** The codes, which are made where they are not there yet. */
  Coded coded(Function<Sums, Coded> maker) {
    if (coded.isEmpty()) {
      coded = sums.map(maker);
    }
    return coded.orElseThrow();
  }
}
