package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.io.Json;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.train.EpochMetrics;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReportTest {

  private static final int MEGABYTE = 1 << 20;

  @Test
  void everyOptionIsThere() {
    RunSummary summary = ReportData.of(1, 1).summary();
    String table = ReportTables.options(summary);
    assertEquals(
        leaves(Json.tree(summary.options())) + leaves(Json.tree(NetOptions.original())) + 7,
        Pattern.compile("<tr>").matcher(table).results().count());
    assertTrue(table.contains("<th scope=\"row\">batch size</th><td>128</td>"), table);
    assertTrue(
        table.contains("<th scope=\"row\">optimizer weight decay</th><td>0.0005</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">activation floor</th><td>none</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">activation form</th><td>tied</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">in channels</th><td>3</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">about</th><td>a first try</td>"), table);
  }

  private static int leaves(JsonNode node) {
    int count = 0;
    for (JsonNode child : node) {
      count += child.isObject() ? leaves(child) : 1;
    }
    return count;
  }

  @Test
  void itSaysWhatTheSameBitsDependOnAndNamesNobody() {
    String html = ReportData.of(1, 1).html();
    assertTrue(html.contains("(3 for LibTorch, 1 for OpenBLAS)"), html);
    assertTrue(html.contains("vector instructions (AVX2)"), html);
    assertFalse(html.contains("/home/ann"), html);
  }

  @Test
  void namesAreTextAndNotHtml() {
    ReportData data = ReportData.of(1, 1);
    RunSummary named = ReportData.summary("<script>\"a\" & b</script>", data.epochs());
    String html = Report.html(named, data.epochs(), data.steps());
    assertFalse(html.contains("<script>"), html);
    assertTrue(html.contains("&lt;script&gt;&quot;a&quot; &amp; b&lt;/script&gt;"), html);
  }

  @Test
  void itIsTheSameInEveryLocale() {
    Locale locale = Locale.getDefault();
    try {
      Locale.setDefault(Locale.ROOT);
      String html = ReportData.of(3, 4).html();
      for (String tag : List.of("tr-TR-u-nu-arabext", "de-DE", "ar-EG", "hi-IN-u-nu-deva")) {
        Locale.setDefault(Locale.forLanguageTag(tag));
        assertEquals(html, ReportData.of(3, 4).html(), tag);
      }
    } finally {
      Locale.setDefault(locale);
    }
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {
        Double.NaN,
        Double.POSITIVE_INFINITY,
        Double.NEGATIVE_INFINITY,
        0,
        -0.0,
        1,
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        Float.MIN_VALUE
      })
  void anyNumberCanBeShown(double number) {
    String html = ReportData.of(3, 4).with(number).html();
    assertEquals(12, figures(html));
    assertEquals(Double.isFinite(number), !html.contains("There is no finite number to draw"));
    assertFalse(html.contains("NaN") && Double.isFinite(number), html);
  }

  @Test
  void withoutStepsThereIsAPointAnEpoch() {
    ReportData data = ReportData.of(3, 4);
    assertEquals(10, figures(Report.html(data.summary(), data.epochs(), List.of())));
  }

  @Test
  void aPartOfAnEpochIsNotCalledAnEpoch() {
    ReportData data = ReportData.of(1, 1);
    EpochMetrics whole = data.epochs().get(0);
    assertTrue(data.html().contains("right after 1 epoch;"), data.html());
    EpochMetrics part =
        new EpochMetrics(
            1,
            21,
            whole.learningRate(),
            whole.train(),
            whole.test(),
            whole.thresholds(),
            whole.samplesPerSecond(),
            whole.seconds());
    RunSummary summary = ReportData.summary("images", List.of(part));
    String html = Report.html(summary, List.of(part), data.steps().subList(0, 21));
    assertTrue(html.contains("right after 21 steps;"), html);
    // 21 of 63 steps are a third of an epoch, where its only point lies.
    Curve loss =
        new Timeline(summary.stepsPerEpoch(), List.of(part), List.of())
            .ofEpochs(EpochMetrics::testLoss);
    assertEquals(1 / 3.0, loss.x()[0], 1e-12);
  }

  /** Whatever the number of layers: not 50 curves in a plot, and not 50 plots of each kind. */
  @ParameterizedTest
  @CsvSource({"2, 15, false", "19, 62, false", "50, 77, true"})
  void manyLayersHaveATableAndSmallPlotsOnTheSameAxes(int layers, int figures, boolean isLimited) {
    String html = ReportData.ofLayers(3, layers).html();
    assertEquals(figures, figures(html));
    String table = html.substring(html.indexOf("<h2>Thresholds</h2>"));
    table = table.substring(0, table.indexOf("</table>"));
    assertEquals(1 + layers, Pattern.compile("<tr>").matcher(table).results().count());
    assertTrue(table.contains("<td>layer0.1.clip.max</td><td>1.6138</td><td>-1.2276</td>"), table);
    assertTrue(html.contains("its " + layers + " thresholds ended between "), html);
    assertEquals(isLimited, html.contains("of the first 24 of 50 layers; the table has all"));
    assertTrue(html.length() < 2 * MEGABYTE, html.length() + " characters");
  }

  /** As of a network that goes another way for other weights. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 6})
  void aLayerThatWasNotComeToInAnEpochHasNoValueThen(int layers) {
    ReportData data = ReportData.ofLayers(3, layers);
    EpochMetrics first = data.epochs().get(0);
    EpochMetrics without =
        new EpochMetrics(
            1,
            first.step(),
            first.learningRate(),
            first.train(),
            first.test(),
            Map.of(),
            first.samplesPerSecond(),
            first.seconds());
    List<EpochMetrics> epochs = List.of(without, data.epochs().get(1), data.epochs().get(2));
    String html = Report.html(data.summary(), epochs, data.steps());
    assertFalse(html.contains("NaN"), html);
    assertEquals(3, Csv.table(epochs).lines().skip(1).count());
  }

  @Test
  void whatIsNoAccuracyIsANumber() {
    String html = ReportData.ofRegression(3).html();
    assertTrue(
        html.contains("<p>Test loss 0.4333 on 2,000 test samples after 3 epochs.</p>"), html);
    assertTrue(html.contains("<div><dt>test mae</dt><dd>0.7833</dd></div>"), html);
    assertTrue(html.contains("<tbody class=\"best\"><tr><td>3</td>"), html);
    assertFalse(html.contains("ccuracy"), html);
    assertFalse(html.contains("hreshold<"), html);
    assertEquals(4, figures(html));
  }

  @Test
  void aSmallNumberIsNotShownAsNone() {
    assertEquals("1.23e-05", Shown.text("mae", 1.234e-5));
    assertEquals("0.00 %", Shown.text("accuracy", 0));
    assertEquals("0.0000", Shown.text("mae", 0));
  }

  @Test
  void namesInThePageAreUnique() {
    List<String> names =
        Pattern.compile("\\sid=\"([^\"]*)\"")
            .matcher(ReportData.of(3, 4).html())
            .results()
            .map(match -> match.group(1))
            .toList();
    assertEquals(12, names.size());
    assertEquals(names.size(), names.stream().distinct().count(), names + "");
  }

  @Test
  void nothingIsLoadedFromElsewhere() {
    List<String> addresses =
        Pattern.compile("https?://[^\"' ]*|url\\([^#][^)]*\\)|@import|(src|href)=")
            .matcher(ReportData.of(1, 1).html())
            .results()
            .map(MatchResult::group)
            .filter(address -> !address.startsWith("http://www.w3.org/")) // names, not addresses
            .toList();
    assertEquals(List.of(), addresses);
  }

  @Test
  void aLongTrainingOfManyChannelsStaysSmall() {
    int length = ReportData.of(100, 512).html().length();
    assertTrue(length < 2 * MEGABYTE, length + " characters");
  }

  @Test
  void aCurveOfMorePointsThanAreShownKeepsItsMeans() {
    Curve curve = Curve.of(10, 4, i -> i, i -> i == 3 ? Double.NaN : 10 * i);
    assertEquals(4, curve.x().length);
    assertEquals(45, sum(curve.x(), 2, 3, 2, 3), 1e-12);
    assertEquals(30, curve.y()[1], 1e-12); // of 20 and 40, without the NaN between them
  }

  private static double sum(double[] means, int... counts) {
    double sum = 0;
    for (int i = 0; i < means.length; i++) {
      sum += means[i] * counts[i];
    }
    return sum;
  }

  private static long figures(String html) {
    return Pattern.compile("<figure>").matcher(html).results().count();
  }
}
