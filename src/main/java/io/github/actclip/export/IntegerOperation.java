package io.github.actclip.export;

/** Adds up codes, in 32 bits, which never overflow. */
interface IntegerOperation {

  /** Of one sample. */
  Codes sums(Codes... inputs);

  /** What 1 stands for in each channel of the sums; one number for all channels alike. */
  double[] scales();

  /** Writes it as the operation on floats that ONNX Runtime takes for one on integers. */
  String write(OnnxGraph graph, String... inputs);
}
