package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * The numbers of a CSV file.
 *
 * @param features the names of the columns that a network is given
 * @param classes the names of the classes, by their numbers; none where the target is a number
 * @param values row by row, of each the features and then the target, or the number of its class
 */
record CsvTable(List<String> features, List<String> classes, float[] values) {

  /** What one data set may take of the heap, as {@link PixelFormat} has it. */
  private static final int MAX_VALUES = (256 << 20) / Float.BYTES;

  private static final int FIRST_VALUES = 1024;

  /** How many values a row has. */
  int width() {
    return features.size() + 1;
  }

  int rows() {
    return values.length / width();
  }

  /** The CRC-32C of the numbers, row by row, and of the names of the classes. */
  long checksum() {
    CRC32C crc = new CRC32C();
    ByteBuffer row = ByteBuffer.allocate(width() * Float.BYTES);
    for (int from = 0; from < values.length; from += width()) {
      row.clear().asFloatBuffer().put(values, from, width());
      crc.update(row);
    }
    crc.update(String.join("\n", classes).getBytes(StandardCharsets.UTF_8));
    return crc.getValue();
  }

  /** Reads a file; see {@link CsvDataset#read}. */
  static CsvTable read(Path path, CsvOptions options, CsvClasses classes) {
    try (DataFile data = DataFile.open(path)) {
      CsvFile file = new CsvFile(path, data, options.delimiter());
      int target = file.column(options.target());
      List<String> features = features(path, file.names(), options);
      int[] columns = features.stream().mapToInt(file::column).toArray();
      float[] values = new float[FIRST_VALUES];
      int length = 0;
      while (file.next()) {
        values = withRoom(path, values, length + columns.length + 1);
        for (int column : columns) {
          values[length++] = file.number(column);
        }
        values[length++] = options.ofClasses() ? classes.number(file, target) : file.number(target);
      }
      if (length == 0) {
        throw ActclipException.badInput("%s has no row after the names of its columns", path);
      }
      CsvTable table = new CsvTable(features, classes.sorted(), Arrays.copyOf(values, length));
      if (options.ofClasses()) {
        table.renumber(classes.ranks());
      }
      return table;
    } catch (IOException e) {
      throw DataFile.unreadable(path, e);
    }
  }

  private static List<String> features(Path path, List<String> names, CsvOptions options) {
    if (!options.features().isEmpty()) {
      return options.features();
    }
    List<String> others = names.stream().filter(name -> !name.equals(options.target())).toList();
    if (others.isEmpty()) {
      throw ActclipException.badInput(
          "%s has no column but %s: there is nothing to tell it from",
          path, CsvFile.shown(options.target()));
    }
    return others;
  }

  private static float[] withRoom(Path path, float[] values, int length) {
    if (length <= values.length) {
      return values;
    }
    if (length > MAX_VALUES) {
      throw ActclipException.badInput(
          "%s has more than the %d numbers that a data set can have", path, MAX_VALUES);
    }
    return Arrays.copyOf(values, Math.min(MAX_VALUES, Math.max(length, 2 * values.length)));
  }

  private void renumber(int[] ranks) {
    for (int at = features.size(); at < values.length; at += width()) {
      values[at] = ranks[(int) values[at]];
    }
  }
}
