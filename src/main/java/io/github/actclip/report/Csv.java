package io.github.actclip.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.dataformat.csv.CsvMapper;
import com.fasterxml.jackson.dataformat.csv.CsvSchema;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Phase;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The epochs as a table: a line of names, then one line of numbers an epoch. */
final class Csv {

  private static final CsvMapper MAPPER = new CsvMapper();

  private Csv() {}

  static String table(List<EpochMetrics> epochs) {
    List<Map<String, Number>> rows = epochs.stream().map(Csv::row).toList();
    Set<String> names = new LinkedHashSet<>();
    rows.forEach(row -> names.addAll(row.keySet()));
    CsvSchema.Builder columns = CsvSchema.builder();
    names.forEach(columns::addColumn);
    try {
      return MAPPER.writer(columns.build().withHeader()).writeValueAsString(rows);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("numbers cannot fail to be a line", e);
    }
  }

  /** All but the counts of the histograms. */
  private static Map<String, Number> row(EpochMetrics epoch) {
    Map<String, Number> row = new LinkedHashMap<>();
    row.put("epoch", epoch.epoch());
    row.put("step", epoch.step());
    row.put("learning_rate", epoch.learningRate());
    epoch.train().forEach((name, value) -> row.put("train_" + name, value));
    epoch.test().forEach((name, value) -> row.put("test_" + name, value));
    epoch
        .thresholds()
        .forEach(
            (name, seen) -> {
              row.put(name, seen.threshold());
              row.put(name + "_clip_rate", seen.clipRate());
              row.put(name + "_gradient", seen.gradient());
            });
    row.put("samples_per_second", epoch.samplesPerSecond());
    for (Phase phase : Phase.values()) {
      row.put("seconds_" + ReportPlots.name(phase), epoch.seconds().of(phase));
    }
    return row;
  }
}
