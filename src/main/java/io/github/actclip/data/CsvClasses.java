package io.github.actclip.data;

import java.math.BigInteger;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The classes of a CSV file's column, numbered in the order in which they come. */
final class CsvClasses {

  /** More than this are numbers by mistake; float32 has them all. */
  private static final int MOST = 65_536;

  private final Map<String, Integer> numbers = new LinkedHashMap<>();
  private final boolean mayGrow;

  private CsvClasses(boolean mayGrow) {
    this.mayGrow = mayGrow;
  }

  /** All that a file has. */
  static CsvClasses any() {
    return new CsvClasses(true);
  }

  /** Those, in their order, and no others. */
  static CsvClasses only(List<String> names) {
    CsvClasses classes = new CsvClasses(false);
    names.forEach(name -> classes.numbers.put(name, classes.numbers.size()));
    return classes;
  }

  /** The number of the class in a cell of the file's row. */
  int number(CsvFile file, int column) {
    String name = file.text(column);
    Integer number = numbers.get(name);
    if (number == null) {
      number = numbers.size();
      requireRoom(file, column, name);
      numbers.put(name, number);
    }
    return number;
  }

  private void requireRoom(CsvFile file, int column, String name) {
    if (!mayGrow) {
      throw file.unusable(
          column,
          CsvFile.shown(name)
              + " is none of the "
              + numbers.size()
              + " classes "
              + CsvFile.listed(numbers.keySet()));
    }
    if (numbers.size() == MOST) {
      throw file.unusable(
          column, "there are more than " + MOST + " classes: read it as CsvOptions.number");
    }
  }

  /** Their names in the order of texts, or of numbers where all are whole numbers. */
  List<String> sorted() {
    boolean whole = numbers.keySet().stream().allMatch(name -> name.matches("[+-]?\\d{1,18}"));
    Comparator<String> byText = Comparator.naturalOrder();
    Comparator<String> order = whole ? Comparator.comparing(BigInteger::new) : byText;
    return numbers.keySet().stream().sorted(order.thenComparing(byText)).toList();
  }

  /** What each number becomes when they are sorted. */
  int[] ranks() {
    CsvClasses sorted = only(sorted());
    return numbers.keySet().stream().mapToInt(sorted.numbers::get).toArray();
  }
}
