package io.github.actclip.report;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Text as HTML. */
final class Html {

  private Html() {}

  /** The text itself, in an element or in an attribute's quotes. */
  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }

  /** A table's row of {@code th} or {@code td}. */
  static String row(String tag, String... cells) {
    return Arrays.stream(cells)
        .map(cell -> "<" + tag + ">" + escape(cell) + "</" + tag + ">")
        .collect(Collectors.joining("", "<tr>", "</tr>\n"));
  }
}
