package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.io.Json;
import io.github.actclip.train.EpochMetrics;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReportTest {

  private static final int MEGABYTE = 1 << 20;

  @Test
  void everyOptionIsThere() {
    RunSummary summary = ReportData.of(1, 1).summary();
    String table = ReportTables.options(summary);
    assertEquals(
        leaves(Json.tree(summary.options())) + leaves(Json.tree(summary.net())) + 4,
        Pattern.compile("<tr>").matcher(table).results().count());
    assertTrue(table.contains("<th scope=\"row\">batch size</th><td>128</td>"), table);
    assertTrue(
        table.contains("<th scope=\"row\">optimizer weight decay</th><td>0.0005</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">activation floor</th><td>−∞</td>"), table);
    assertTrue(table.contains("<th scope=\"row\">activation form</th><td>tied</td>"), table);
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
            whole.trainLoss(),
            whole.trainAccuracy(),
            whole.testLoss(),
            whole.testAccuracy(),
            whole.actMax(),
            whole.clipRate(),
            whole.thresholdGradient(),
            whole.imagesPerSecond(),
            whole.seconds(),
            whole.activations());
    RunSummary summary = ReportData.summary("images", List.of(part));
    String html = Report.html(summary, List.of(part), data.steps().subList(0, 21));
    assertTrue(html.contains("right after 21 steps;"), html);
    // 21 of 63 steps are a third of an epoch, where its only point lies.
    Curve loss = new ReportPlots(summary, List.of(part), List.of()).ofEpochs(e -> e.testLoss());
    assertEquals(1 / 3.0, loss.x()[0], 1e-12);
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
