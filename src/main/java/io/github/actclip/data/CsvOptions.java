package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.util.List;

/**
 * What the columns of a CSV file are.
 *
 * <pre>{@code
 * CsvOptions.number("price")
 * CsvOptions.classes("species").features("length", "width").delimiter(';')
 * }</pre>
 *
 * @param target the name of the column that a network is to say
 * @param ofClasses whether that column has the names or numbers of classes; else it has numbers
 * @param features the names of the columns that a network is given, in the order in which it gets
 *     them; empty for all others, in the order of the file
 * @param delimiter what is between two cells
 */
public record CsvOptions(String target, boolean ofClasses, List<String> features, char delimiter) {

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when a column is named twice, or a delimiter cannot be
   */
  public CsvOptions {
    features = List.copyOf(features);
    if (features.contains(target) || features.stream().distinct().count() < features.size()) {
      throw ActclipException.badInput(
          "The features are %s and the target is \"%s\": a column can be only one of them",
          features, target);
    }
    if ("\"\r\n".indexOf(delimiter) >= 0) {
      throw ActclipException.badInput(
          "The delimiter has the code %d; it cannot be a quote or the end of a line",
          (int) delimiter);
    }
  }

  /** A column of numbers is the target, all others are features, commas are between cells. */
  public static CsvOptions number(String target) {
    return new CsvOptions(target, false, List.of(), ',');
  }

  /** A column of classes is the target, all others are features, commas are between cells. */
  public static CsvOptions classes(String target) {
    return new CsvOptions(target, true, List.of(), ',');
  }

  /** The same, with these columns as features. */
  public CsvOptions features(String... names) {
    return new CsvOptions(target, ofClasses, List.of(names), delimiter);
  }

  /** The same, with this between two cells, such as {@code ';'} or {@code '\t'}. */
  public CsvOptions delimiter(char character) {
    return new CsvOptions(target, ofClasses, features, character);
  }
}
