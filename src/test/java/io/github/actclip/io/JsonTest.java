package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.report.ReportData;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Numbers that JSON lacks. */
class JsonTest {

  private static final ObjectMapper PLAIN = new ObjectMapper();
  private static final String FLOOR = "/activation/floor";

  static {
    LibTorch.load();
  }

  @Test
  void aFloorThatNobodySetIsNull() throws Exception {
    String text = NetOptions.original().toJson();
    assertTrue(PLAIN.readTree(text).at(FLOOR).isNull(), text);
    assertFalse(text.contains("Infinity"), text);
    assertEquals(NetOptions.original(), NetOptions.fromJson(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"-Infinity\"", "0.25", "null"})
  void aFloorIsReadAsEveryVersionWroteIt(String floor) {
    String written = NetOptions.original().toJson().replace("\"floor\":null", "\"floor\":" + floor);
    double read = NetOptions.fromJson(written).activation().floor();
    assertEquals(floor.equals("0.25") ? 0.25 : Double.NEGATIVE_INFINITY, read);
  }

  @Test
  void aSummaryIsReadAsItWas() {
    RunSummary summary = ReportData.of(1, 1).summary();
    assertEquals(summary, Json.read(Json.pretty(summary), RunSummary.class, "a summary"));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void aNumberThatJsonLacksIsNullAndReadAsNan(double number) throws Exception {
    List<Double> values = List.of(1.5, number);
    StepMetrics metrics =
        new StepMetrics(3, 0.1, number, Map.of("act_max", values), Map.of("act_max", values));
    String text = Json.line(metrics);
    JsonNode json = PLAIN.readTree(text);
    assertTrue(json.get("loss").isNull(), text);
    assertEquals(1.5, json.at("/thresholds/act_max/0").doubleValue());
    assertTrue(json.at("/thresholds/act_max/1").isNull(), text);
    StepMetrics read = Json.read(text, StepMetrics.class, "a step");
    List<Double> readValues = List.of(1.5, Double.NaN);
    assertEquals(
        new StepMetrics(
            3, 0.1, Double.NaN, Map.of("act_max", readValues), Map.of("act_max", readValues)),
        read);
  }

  @ParameterizedTest
  @CsvSource({"NaN, NaN", "Infinity, Infinity", "-Infinity, -Infinity"})
  void theTextsOfOlderFilesAreRead(String text, double number) {
    String line =
        "{'step':3,'learning_rate':0.1,'loss':'NUMBER','thresholds':{'act_max':[1.5,'NUMBER']},'gradients':{}}"
            .replace("NUMBER", text)
            .replace('\'', '"');
    assertEquals(
        new StepMetrics(3, 0.1, number, Map.of("act_max", List.of(1.5, number)), Map.of()),
        Json.read(line, StepMetrics.class, "a step"));
  }

  /** Of every number of a summary and of an epoch's metrics. */
  @Test
  void noNumberIsAText() throws Exception {
    ReportData data = ReportData.of(2, 3).with(Double.NaN);
    assertHasNoSpecialText(PLAIN.readTree(Json.line(data.summary())));
    for (EpochMetrics epoch : data.epochs()) {
      assertHasNoSpecialText(PLAIN.readTree(Json.line(epoch)));
    }
    for (StepMetrics step : data.steps()) {
      assertHasNoSpecialText(PLAIN.readTree(Json.line(step)));
    }
  }

  private static void assertHasNoSpecialText(JsonNode json) {
    if (json.isTextual()) {
      assertFalse(json.textValue().matches("NaN|[+-]?Inf(inity)?"), json.textValue());
    }
    json.forEach(JsonTest::assertHasNoSpecialText);
  }
}
