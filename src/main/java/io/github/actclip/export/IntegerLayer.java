package io.github.actclip.export;

/** Makes codes of codes. */
interface IntegerLayer {

  /** Of one sample. */
  Codes run(Codes... inputs);

  /** Writes it, between values of uint8. */
  String write(OnnxGraph graph, String... inputs);
}
