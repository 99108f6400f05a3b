package io.github.actclip.samples.benchmark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.JsonNumbers;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.RuntimeInfo;
import java.nio.file.Path;
import java.util.List;

/** What a benchmark measured, and on what. */
record BenchmarkResults(
    RuntimeInfo environment,
    String clipBackend,
    String device,
    int rounds,
    List<Measurement> measurements,
    List<Scaling.Point> scaling) {

  /** Writes it as JSON. */
  void write(Path file) {
    JsonMapper mapper =
        JsonMapper.builder()
            .addModule(new JsonNumbers())
            .enable(SerializationFeature.INDENT_OUTPUT)
            .build();
    try {
      AtomicFile.writeString(file, mapper.writeValueAsString(this) + "\n");
    } catch (JsonProcessingException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, e.getMessage());
    }
  }
}
