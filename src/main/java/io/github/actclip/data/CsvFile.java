package io.github.actclip.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.dataformat.csv.CsvMapper;
import com.fasterxml.jackson.dataformat.csv.CsvParser;
import com.fasterxml.jackson.dataformat.csv.CsvSchema;
import io.github.actclip.runtime.ActclipException;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** A CSV file: a line of names, then rows of as many cells. Its content is not trusted. */
final class CsvFile {

  private static final CsvMapper MAPPER =
      CsvMapper.builder()
          .enable(CsvParser.Feature.WRAP_AS_ARRAY)
          .enable(CsvParser.Feature.SKIP_EMPTY_LINES)
          .build();

  /** What Java would take besides, such as 0x1p3 or 1d, is a mistake in a table. */
  private static final Pattern NUMBER =
      Pattern.compile("[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?");

  private static final int MOST_SHOWN = 40;
  private static final int MOST_LISTED = 20;

  private final Path path;
  private final MappingIterator<String[]> rows;
  private final List<String> names;
  private int line;
  private String[] row;

  /**
   * Reads the names.
   *
   * @param path what errors call it
   * @throws ActclipException bad input, when there are none
   */
  CsvFile(Path path, DataFile file, char delimiter) throws IOException {
    this.path = path;
    rows =
        MAPPER
            .readerFor(String[].class)
            .with(CsvSchema.emptySchema().withColumnSeparator(delimiter))
            .readValues(file.in());
    if (!readLine()) {
      throw ActclipException.badInput("%s has no line with the names of its columns", path);
    }
    names = Arrays.stream(row).map(String::strip).toList();
  }

  List<String> names() {
    return names;
  }

  /**
   * Finds a column.
   *
   * @throws ActclipException bad input, when none has the name, or two have
   */
  int column(String name) {
    int column = names.indexOf(name);
    if (column < 0) {
      throw ActclipException.badInput("%s has no column %s: %s", path, shown(name), whatThereIs());
    }
    if (name.isEmpty()) {
      throw ActclipException.badInput(
          "%s has no name for column %d: give it one, or say which columns are features",
          path, column + 1);
    }
    if (names.lastIndexOf(name) > column) {
      throw ActclipException.badInput("%s has two columns %s", path, shown(name));
    }
    return column;
  }

  private String whatThereIs() {
    if (names.stream().allMatch(name -> NUMBER.matcher(name).matches())) {
      return "its first line has numbers, and has to have the names of the columns";
    }
    if (names.size() == 1) {
      return "its only one is " + shown(names.get(0)) + "; the delimiter may be another one";
    }
    return "it has " + listed(names);
  }

  /**
   * Goes to the next row.
   *
   * @return false when there is none
   * @throws ActclipException bad input, when it is damaged or has too few or too many cells
   */
  boolean next() throws IOException {
    if (!readLine()) {
      return false;
    }
    if (row.length != names.size()) {
      throw ActclipException.badInput(
          "%s, line %d has %d cells, and the first line names %d columns",
          path, line, row.length, names.size());
    }
    return true;
  }

  private boolean readLine() throws IOException {
    try {
      line = rows.getCurrentLocation().getLineNr(); // should the line be damaged
      if (!rows.hasNextValue()) {
        return false;
      }
      line = rows.getCurrentLocation().getLineNr(); // after lines that are empty
      row = rows.nextValue();
      return true;
    } catch (IOException e) {
      throw unsoundOrUnread(e);
    }
  }

  /** What to throw where the file's content is at fault; throws itself where reading it failed. */
  private ActclipException unsoundOrUnread(IOException thrown) throws IOException {
    // Jackson wraps what the file threw, or the decoder of UTF-8, within a row.
    IOException e = thrown.getCause() instanceof IOException cause ? cause : thrown;
    if (!(e instanceof JsonProcessingException || e instanceof CharConversionException)) {
      throw e;
    }
    String why =
        e instanceof JsonProcessingException json ? json.getOriginalMessage() : e.getMessage();
    return ActclipException.badInput("%s, line %d is not sound CSV in UTF-8: %s", path, line, why);
  }

  /**
   * A cell of the row.
   *
   * @throws ActclipException bad input, when it is empty
   */
  String text(int column) {
    String text = row[column].strip();
    if (text.isEmpty()) {
      throw unusable(column, "the cell is empty");
    }
    return text;
  }

  /**
   * A cell of the row as a number.
   *
   * @throws ActclipException bad input, when it is none that float32 has
   */
  float number(int column) {
    String text = text(column);
    if (!NUMBER.matcher(text).matches()) {
      throw unusable(
          column, shown(text) + " is no number; one is like -12.5 or 3e-4, with a point");
    }
    float number = Float.parseFloat(text);
    if (Float.isInfinite(number)) {
      throw unusable(column, shown(text) + " is beyond float32, which ends at ±3.4e38");
    }
    return number;
  }

  /** What to throw because of a cell. */
  ActclipException unusable(int column, String why) {
    return ActclipException.badInput(
        "%s, line %d, column %s: %s", path, line, shown(names.get(column)), why);
  }

  static String listed(Collection<String> texts) {
    String more = texts.size() > MOST_LISTED ? ", …" : "";
    return texts.stream().limit(MOST_LISTED).map(CsvFile::shown).collect(Collectors.joining(", "))
        + more;
  }

  /** In quotes, on one line and short, whatever it is. */
  static String shown(String text) {
    String end = text.length() > MOST_SHOWN ? "…" : "";
    String start = text.substring(0, Math.min(text.length(), MOST_SHOWN));
    return '"' + start.replaceAll("\\p{Cntrl}", "?") + end + '"';
  }
}
