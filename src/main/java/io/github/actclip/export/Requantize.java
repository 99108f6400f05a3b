package io.github.actclip.export;

import java.util.Arrays;

/** Sums become codes again, of all 8 bits. */
record Requantize(IntegerOperation operation, Multiplier[] multipliers, Grid grid)
    implements IntegerLayer {

  static Requantize of(IntegerOperation operation, Grid grid) {
    Multiplier[] multipliers =
        Arrays.stream(operation.scales())
            .mapToObj(scale -> Multiplier.of(scale / grid.scale()))
            .toArray(Multiplier[]::new);
    return new Requantize(operation, multipliers, grid);
  }

  @Override
  public Codes run(Codes... inputs) {
    Codes sums = operation.sums(inputs);
    int[] codes = new int[sums.values().length];
    for (int i = 0; i < codes.length; i++) {
      Multiplier multiplier = multipliers[multipliers.length == 1 ? 0 : i / sums.plane()];
      long code = multiplier.times(sums.values()[i]) + grid.zero();
      codes[i] = (int) Math.min(Math.max(code, 0), Grid.MOST);
    }
    return new Codes(sums.channels(), sums.height(), sums.width(), codes);
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return grid.quantize(graph, operation.write(graph, inputs));
  }
}
