package io.github.actclip.report;

import io.github.actclip.report.ConfusionMatrix.Confusion;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** A {@link ConfusionMatrix} for the page: the strongest confusions in words, then all. */
final class ConfusionTable {

  private static final int STRONGEST = 5;

  private final ConfusionMatrix matrix;
  private final List<Confusion> strongest;
  private final Set<List<Integer>> marked = new HashSet<>();

  ConfusionTable(ConfusionMatrix matrix) {
    this.matrix = matrix;
    strongest = matrix.strongest(STRONGEST);
    strongest.forEach(confusion -> marked.add(List.of(confusion.of(), confusion.takenFor())));
  }

  String sentence() {
    return strongest.isEmpty()
        ? "<p>No sample was taken for one of another class.</p>\n"
        : "<p>Most often taken for another: "
            + strongest.stream().map(this::text).collect(Collectors.joining("; "))
            + ".</p>\n";
  }

  private String text(Confusion confusion) {
    return Html.escape(
        String.format(
            Locale.ROOT,
            "%s for %s (%,d of %,d)",
            matrix.classes().get(confusion.of()),
            matrix.classes().get(confusion.takenFor()),
            confusion.count(),
            matrix.samples(confusion.of())));
  }

  String table() {
    StringBuilder table = new StringBuilder("<table class=\"numbers confusion\">\n<thead><tr>");
    table.append("<th>class \\ taken for</th>");
    matrix.classes().forEach(name -> table.append(cell("th", "", name)));
    table.append("<th>right</th></tr></thead>\n");
    for (int row = 0; row < matrix.classes().size(); row++) {
      table.append("<tr>").append(cell("th", "", matrix.classes().get(row)));
      for (int column = 0; column < matrix.classes().size(); column++) {
        table.append(cell("td", style(row, column), number(row, column)));
      }
      table.append(cell("td", "", right(row))).append("</tr>\n");
    }
    return table + "</table>";
  }

  private String style(int row, int column) {
    if (row == column) {
      return " class=\"right\"";
    }
    return marked.contains(List.of(row, column)) ? " class=\"wrong\"" : "";
  }

  private String number(int row, int column) {
    long count = matrix.counts().get(row).get(column);
    return count == 0 ? "" : String.format(Locale.ROOT, "%,d", count);
  }

  private String right(int row) {
    long samples = matrix.samples(row);
    return samples == 0 ? "" : Shown.percent((double) matrix.counts().get(row).get(row) / samples);
  }

  private static String cell(String tag, String attributes, String text) {
    return "<" + tag + attributes + ">" + Html.escape(text) + "</" + tag + ">";
  }
}
