package io.github.actclip.samples.benchmark;

import io.github.actclip.io.AtomicFile;
import java.awt.Color;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;

/** Time and memory an image, over the batch's size and over the image's, as one picture. */
final class ScalingPlot {

  private static final int WIDTH = 520;
  private static final int HEIGHT = 340;

  private ScalingPlot() {}

  /** Writes a PNG. */
  static void write(List<Scaling.Point> points, Path file) {
    int smallest = points.stream().mapToInt(Scaling.Point::imageSize).min().orElseThrow();
    int batch =
        points.stream()
            .filter(point -> point.imageSize() != smallest)
            .mapToInt(Scaling.Point::batchSize)
            .findFirst()
            .orElseThrow();
    Axis batches =
        new Axis(
            "images of " + smallest + "×" + smallest + " in a batch",
            point -> point.imageSize() == smallest,
            Scaling.Point::batchSize,
            LegendPosition.InsideNE);
    Axis images =
        new Axis(
            "pixels of an image, " + batch + " in a batch",
            point -> point.batchSize() == batch,
            Scaling.Point::pixels,
            LegendPosition.InsideNW);
    List<XYChart> charts =
        List.of(
            time(points, batches),
            time(points, images),
            memory(points, batches),
            memory(points, images));
    AtomicFile.write(file, out -> BitmapEncoder.saveBitmap(charts, 2, 2, out, BitmapFormat.PNG));
  }

  private static XYChart time(List<Scaling.Point> points, Axis axis) {
    XYChart chart = chart(axis, "ms an image");
    add(chart, points, axis, "a step", Scaling.Point::millisAnImage);
    add(chart, points, axis, "its convolutions", p -> p.millisAnImage() * p.convolutions());
    return chart;
  }

  private static XYChart memory(List<Scaling.Point> points, Axis axis) {
    XYChart chart = chart(axis, "MB an image");
    List<Scaling.Point> known =
        points.stream().filter(point -> point.megabytesAnImage() != null).toList();
    add(chart, known, axis, "a step", Scaling.Point::megabytesAnImage);
    return chart;
  }

  /** What a plot goes over from left to right, and the points that lie on it. */
  private record Axis(
      String name,
      Predicate<Scaling.Point> has,
      ToDoubleFunction<Scaling.Point> value,
      LegendPosition legend) {}

  private static XYChart chart(Axis axis, String unit) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .xAxisTitle(axis.name())
            .yAxisTitle(unit)
            .build();
    XYStyler styler = chart.getStyler();
    styler.setLocale(Locale.ROOT).setXAxisLogarithmic(true).setYAxisLogarithmic(true);
    styler.setChartBackgroundColor(Color.WHITE).setLegendPosition(axis.legend());
    return chart;
  }

  /** A line for each number of threads. */
  private static void add(
      XYChart chart,
      List<Scaling.Point> points,
      Axis axis,
      String what,
      ToDoubleFunction<Scaling.Point> value) {
    points.stream()
        .filter(axis.has())
        .collect(Collectors.groupingBy(Scaling.Point::threads, TreeMap::new, Collectors.toList()))
        .forEach(
            (threads, line) ->
                chart.addSeries(
                    what + (threads == 1 ? ", 1 thread" : ", " + threads + " threads"),
                    line.stream().mapToDouble(axis.value()).toArray(),
                    line.stream().mapToDouble(value).toArray()));
  }
}
