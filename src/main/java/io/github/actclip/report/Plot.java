package io.github.actclip.report;

import io.github.actclip.runtime.ActclipException;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.knowm.xchart.AnnotationLine;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A figure of a report: what XChart draws, as SVG inside the page, with title and legend in HTML.
 */
final class Plot {

  private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
  private static final Color CLEAR = new Color(0, 0, 0, 0);
  private static final int THIN_ALPHA = 110;
  private static final int MOST_MARKERS = 30;
  private static final MathContext TICK_DIGITS = new MathContext(4);

  /** The colours, which the page's style sheet sets: for light, for dark, and for paper. */
  enum Ink {
    TEXT,
    RULE,
    BLUE,
    ORANGE,
    GREEN,
    PURPLE,
    GREY;

    /** What stands for it until the plot is drawn. */
    private Color color() {
      return new Color(1, 2, 3 + ordinal());
    }

    private String placeholder() {
      return "rgb(1,2," + (3 + ordinal()) + ")";
    }

    private String css() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** What the plot goes over from left to right. */
  record XAxis(String name, double min, double max) {}

  private final String title;
  private final String unit;
  private final PlotSize size;
  private final XAxis xAxis;
  private final XYChart chart;
  private final StringBuilder legend = new StringBuilder();
  private double yMin = Double.POSITIVE_INFINITY;
  private double yMax = Double.NEGATIVE_INFINITY;

  /**
   * An empty one.
   *
   * @param unit of the values upwards, or what they are
   * @param size a small one has neither a legend nor a name at its axis
   */
  Plot(String title, String unit, PlotSize size, XAxis xAxis) {
    this.title = title;
    this.unit = unit;
    this.size = size;
    this.xAxis = xAxis;
    String name = size == PlotSize.SMALL ? "" : xAxis.name();
    chart = new XYChartBuilder().width(size.width()).height(size.height()).xAxisTitle(name).build();
    style(chart.getStyler());
    chart.getStyler().setXAxisMin(xAxis.min()).setXAxisMax(xAxis.max());
  }

  private static void style(XYStyler styler) {
    styler.setChartBackgroundColor(CLEAR).setPlotBackgroundColor(CLEAR).setPlotBorderVisible(false);
    styler.setLegendVisible(false).setChartTitleVisible(false).setChartPadding(4);
    styler.setChartFontColor(Ink.TEXT.color()).setAnnotationLineColor(Ink.TEXT.color());
    styler.setAnnotationLineStroke(new BasicStroke(1.5f));
    styler.setAxisTitleFont(FONT).setAxisTickLabelsFont(FONT);
    styler.setAxisTickLabelsColor(Ink.TEXT.color()).setAxisTickMarksColor(Ink.RULE.color());
    styler.setPlotGridLinesColor(Ink.RULE.color()).setPlotGridVerticalLinesVisible(false);
    styler.setPlotGridLinesStroke(new BasicStroke(1));
    styler.setxAxisTickLabelsFormattingFunction(Plot::tick);
    styler.setyAxisTickLabelsFormattingFunction(Plot::tick);
    styler.setYAxisTickMarkSpacingHint(40).setMarkerSize(6);
    styler.setXAxisTitleColor(Ink.TEXT.color());
  }

  private static String tick(double value) {
    BigDecimal rounded = BigDecimal.valueOf(value).round(TICK_DIGITS).stripTrailingZeros();
    return rounded.signum() == 0 || rounded.precision() - rounded.scale() > -4
        ? rounded.toPlainString()
        : rounded.toString();
  }

  /** Adds a line, with its points marked where they are few. */
  Plot line(String name, Ink ink, Curve curve) {
    return unnamed(ink, curve).entry(name, ink);
  }

  /** The same without a word in the legend. */
  Plot unnamed(Ink ink, Curve curve) {
    XYSeries series = add(curve);
    if (series != null) {
      boolean marked = curve.x().length <= MOST_MARKERS;
      series.setLineColor(ink.color());
      series.setLineStyle(solid(2.5f));
      series.setMarker(marked ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
      series.setMarkerColor(ink.color());
    }
    return this;
  }

  /** Adds a line for the background, without a word in the legend. */
  Plot thin(Ink ink, Curve curve) {
    XYSeries series = add(curve);
    if (series != null) {
      Color color = ink.color();
      series.setLineColor(new Color(color.getRed(), color.getGreen(), color.getBlue(), THIN_ALPHA));
      series.setMarker(SeriesMarkers.NONE).setLineStyle(solid(1));
    }
    return this;
  }

  /** XChart's own choice is another dash for each line. */
  private static BasicStroke solid(float width) {
    return new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND);
  }

  /** Adds bars from 0 up to the curve, of that width around its points. */
  Plot bars(String name, Ink ink, double width, Curve tops) {
    XYSeries series = add(outline(width, tops));
    if (series != null) {
      series.setXYSeriesRenderStyle(XYSeriesRenderStyle.PolygonArea);
      series.setMarker(SeriesMarkers.NONE).setLineColor(CLEAR);
      series.setFillColor(ink.color());
    }
    return entry(name, ink);
  }

  private static Curve outline(double width, Curve tops) {
    double[] x = new double[4 * tops.x().length];
    double[] y = new double[x.length];
    for (int i = 0; i < tops.x().length; i++) {
      double top = Double.isNaN(tops.y()[i]) ? 0 : tops.y()[i];
      x[4 * i] = x[4 * i + 1] = tops.x()[i] - width / 2;
      x[4 * i + 2] = x[4 * i + 3] = tops.x()[i] + width / 2;
      y[4 * i + 1] = y[4 * i + 2] = top;
    }
    return new Curve(x, y);
  }

  /** Adds a vertical line from top to bottom. */
  Plot mark(String name, double x) {
    chart.addAnnotation(new AnnotationLine(x, true, false));
    return entry(name, Ink.TEXT);
  }

  /** Limits what is shown upwards. */
  Plot between(double least, double most) {
    chart.getStyler().setYAxisMin(least).setYAxisMax(most);
    return this;
  }

  /** Null when there is nothing to draw. */
  private XYSeries add(Curve curve) {
    if (curve.isEmpty()) {
      return null;
    }
    yMin = Math.min(yMin, curve.least());
    yMax = Math.max(yMax, curve.most());
    return chart.addSeries(String.valueOf(chart.getSeriesMap().size()), curve.x(), curve.y());
  }

  /**
   * Points that are not drawn. XChart puts its ticks at the data where these are evenly spaced, and
   * cannot scale an axis on which all are the same: with these, neither happens.
   */
  private void frame() {
    double space = yMax > yMin ? 0 : Math.max(Math.abs(yMax) / 10, 1e-6);
    add(new Curve(unevenly(xAxis.min(), xAxis.max()), unevenly(yMin - space, yMax + space)))
        .setMarker(SeriesMarkers.NONE)
        .setLineStyle(SeriesLines.NONE);
  }

  private static double[] unevenly(double from, double to) {
    return new double[] {from, from + (to - from) / Math.PI, to};
  }

  private Plot entry(String name, Ink ink) {
    legend.append("<li class=\"").append(ink.css()).append("\">");
    legend.append(Html.escape(name)).append("</li>");
    return this;
  }

  /**
   * The figure.
   *
   * @param name unlike those of the page's other figures
   */
  String html(String name) {
    String drawing =
        chart.getSeriesMap().isEmpty() ? "<p>There is no finite number to draw.</p>" : svg(name);
    return String.format(
        Locale.ROOT,
        """
        <figure>
        <figcaption>%s <span>%s</span></figcaption>
        %s<ul>%s</ul>
        </figure>
        """,
        Html.escape(title),
        Html.escape(unit),
        drawing,
        legend);
  }

  private String svg(String name) {
    frame();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      VectorGraphicsEncoder.saveVectorGraphic(chart, out, VectorGraphicsFormat.SVG);
    } catch (IOException e) {
      throw ActclipException.failure(e, "a plot cannot be drawn: %s", e.getMessage());
    }
    String svg = Svg.inPage(out.toString(StandardCharsets.UTF_8), name);
    for (Ink ink : Ink.values()) {
      svg = svg.replace(ink.placeholder(), "var(--" + ink.css() + ")");
    }
    return svg;
  }
}
