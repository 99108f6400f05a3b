package io.github.actclip.io;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, checked against the format and against the size of the file:
 * the data can be read without further checks.
 *
 * @param dataStart where in the file the data begins
 * @param tensors in the order of the header
 */
record SafetensorsHeader(long dataStart, List<TensorInfo> tensors, Map<String, String> metadata) {

  /** The format's own limit. */
  static final int MAX_JSON_BYTES = 100_000_000;

  /** The file begins with the length of the JSON text. */
  static final int LENGTH_BYTES = Long.BYTES;

  static final String METADATA = "__metadata__";
  static final String DTYPE = "dtype";
  static final String SHAPE = "shape";
  static final String OFFSETS = "data_offsets";

  static final JsonMapper JSON =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** The tensors in the order of their data, which leaves no gap. */
  List<TensorInfo> dataOrder() {
    return tensors.stream().sorted(TensorInfo.DATA_ORDER).toList();
  }
}
