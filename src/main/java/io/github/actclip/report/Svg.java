package io.github.actclip.report;

import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What XChart's SVG needs to be small, and to share a page with other drawings. */
final class Svg {

  private static final Pattern LONG_DECIMALS = Pattern.compile("(\\.\\d\\d)\\d+");
  private static final Pattern CLIP_NAME = Pattern.compile("clip-?\\d+");
  private static final Pattern LINE =
      Pattern.compile(
          "<line style=\"([^\"]*)\" x1=\"([^\"]*)\" x2=\"([^\"]*)\" y1=\"([^\"]*)\" y2=\"([^\"]*)\"/>\\s*");

  private Svg() {}

  /**
   * The drawing without the document around it: with two decimals, with one polyline in place of
   * many lines, and with names of its own.
   *
   * @param document a whole SVG document
   * @param name unlike those of the page's other drawings
   */
  static String inPage(String document, String name) {
    String svg = document.substring(document.indexOf("<svg"));
    svg = LONG_DECIMALS.matcher(svg).replaceAll("$1");
    return joinLines(CLIP_NAME.matcher(svg).replaceAll(name));
  }

  /** XChart draws each piece of a line on its own, style and all: most of a drawing's size. */
  private static String joinLines(String svg) {
    StringBuilder out = new StringBuilder();
    Matcher lines = LINE.matcher(svg);
    MatchResult last = null;
    int end = 0;
    while (lines.find()) {
      if (last == null || lines.start() != end || !continues(last, lines)) {
        out.append(last == null ? "" : "\"/>\n").append(svg, end, lines.start());
        out.append("<polyline style=\"").append(lines.group(1)).append("\" points=\"");
        out.append(lines.group(2)).append(',').append(lines.group(4));
      }
      out.append(' ').append(lines.group(3)).append(',').append(lines.group(5));
      last = lines.toMatchResult();
      end = lines.end();
    }
    return out.append(last == null ? "" : "\"/>\n").append(svg, end, svg.length()).toString();
  }

  private static boolean continues(MatchResult last, MatchResult next) {
    return next.group(1).equals(last.group(1))
        && next.group(2).equals(last.group(3))
        && next.group(4).equals(last.group(5));
  }
}
