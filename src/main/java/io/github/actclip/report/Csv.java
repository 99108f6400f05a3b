package io.github.actclip.report;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.dataformat.csv.CsvMapper;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import java.util.List;

/** The epochs as a table: a line of names in snake case, then one line of numbers an epoch. */
final class Csv {

  /** A phase is a column; the counts of the histogram are none. */
  private abstract static class Row {
    @JsonUnwrapped(prefix = "seconds_")
    PhaseSeconds seconds;

    @JsonIgnore List<Long> activations;
  }

  private static final CsvMapper MAPPER =
      CsvMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
          .addMixIn(EpochMetrics.class, Row.class)
          .build();

  private Csv() {}

  static String table(List<EpochMetrics> epochs) {
    try {
      return MAPPER
          .writer(MAPPER.schemaFor(EpochMetrics.class).withHeader())
          .writeValueAsString(epochs);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record of numbers cannot fail to be a line", e);
    }
  }
}
