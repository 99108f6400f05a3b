package io.github.actclip.io;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;

/** Valid bytes with some of them changed. */
final class Mutations {

  private Mutations() {}

  /** Changes 1 to {@code most} bytes. */
  static Arbitrary<byte[]> of(byte[] original, int most) {
    Arbitrary<int[]> edit =
        Combinators.combine(
                Arbitraries.integers().between(0, original.length - 1),
                Arbitraries.integers().between(0, 255))
            .as((at, value) -> new int[] {at, value});
    return edit.list()
        .ofMinSize(1)
        .ofMaxSize(most)
        .map(
            edits -> {
              byte[] bytes = original.clone();
              edits.forEach(e -> bytes[e[0]] = (byte) e[1]);
              return bytes;
            });
  }
}
