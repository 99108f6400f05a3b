package io.github.actclip.export;

import java.util.Optional;
import java.util.function.Supplier;

/** Activations in a graph of floats, which are written when something asks for their name. */
final class FloatValue {

  /** A convolution that batch normalisation may become a part of. */
  record Convolution(Affine affine, Window window, FloatValue input) {}

  private final int rank;
  private final Supplier<String> writer;
  private final Optional<Convolution> convolution;
  private final Optional<FloatValue> rectified;
  private String name;

  private FloatValue(
      int rank,
      Supplier<String> writer,
      Optional<Convolution> convolution,
      Optional<FloatValue> rectified) {
    this.rank = rank;
    this.writer = writer;
    this.convolution = convolution;
    this.rectified = rectified;
  }

  static FloatValue of(int rank, Supplier<String> writer) {
    return new FloatValue(rank, writer, Optional.empty(), Optional.empty());
  }

  static FloatValue of(Convolution convolution, Supplier<String> writer) {
    return new FloatValue(4, writer, Optional.of(convolution), Optional.empty());
  }

  static FloatValue relu(FloatValue of, Supplier<String> writer) {
    return new FloatValue(of.rank, writer, Optional.empty(), Optional.of(of));
  }

  /** Its name in the graph, in which it is from now on. */
  String name() {
    if (name == null) {
      name = writer.get();
    }
    return name;
  }

  int rank() {
    return rank;
  }

  /** The convolution that it comes from at once. */
  Optional<Convolution> convolution() {
    return convolution;
  }

  /** Of which it is the ReLU. */
  Optional<FloatValue> rectified() {
    return rectified;
  }
}
