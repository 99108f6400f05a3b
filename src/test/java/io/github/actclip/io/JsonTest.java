package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.report.ReportData;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.ActclipException;
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
    ClipOptions read = NetOptions.fromJson(written).activation().clip();
    double expected = floor.equals("0.25") ? 0.25 : Double.NEGATIVE_INFINITY;
    assertEquals(new ClipOptions(ClipForm.TIED).floor(expected), read);
  }

  /** Files of every version hold the first text; a checkpoint knows its network by the second. */
  @Test
  void theOptionsOfActivationsAreFlatTexts() {
    ActivationOptions clip =
        ActivationOptions.clip(
                new ClipOptions(ClipForm.TIED)
                    .gradient(ThresholdGradient.MEAN)
                    .initial(0.5)
                    .parameterization(Parameterization.EXP)
                    .floor(0.1))
            .perChannel(true)
            .quantized(QuantizationMethod.LSQ_PLUS, 0, 4);
    assertTexts(
        "{'form':'TIED','rule':'MEAN','initial':0.5,'per_channel':true,'parameterization':'EXP',"
            + "'floor':0.1,'beta':10.0,'cut_bandwidth':0.0,'quantization':'LSQ_PLUS',"
            + "'activation_bits':0,'weight_bits':4}",
        "form=TIED, rule=MEAN, initial=0.5, perChannel=true, parameterization=EXP, floor=0.1,"
            + " beta=10.0, cutBandwidth=0.0, quantization=LSQ_PLUS, activationBits=0, weightBits=4",
        clip);
    assertTexts(
        "{'form':'UNTIED','rule':'SUM','initial':1.0,'per_channel':false,'parameterization':'RAW',"
            + "'floor':null,'beta':10.0,'cut_bandwidth':0.2,'quantization':'PACT',"
            + "'activation_bits':0,'weight_bits':0}",
        "form=UNTIED, rule=SUM, initial=1.0, perChannel=false, parameterization=RAW,"
            + " floor=-Infinity, beta=10.0, cutBandwidth=0.2, quantization=PACT, activationBits=0,"
            + " weightBits=0",
        ActivationOptions.clip(new ClipOptions(ClipForm.UNTIED).learnCut(0.2)));
  }

  private static void assertTexts(String json, String text, ActivationOptions options) {
    NetOptions net = new NetOptions(1, 28, 5, options);
    assertEquals(
        "{'in_channels':1,'image_size':28,'num_classes':5,'activation':" + json + "}",
        net.toJson().replace('"', '\''));
    assertEquals(net, NetOptions.fromJson(net.toJson()));
    assertEquals(
        "NetOptions[inChannels=1, imageSize=28, numClasses=5, activation=ActivationOptions["
            + text
            + "]]",
        net.toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          "TIED"               | "SOFT"               | form (SOFT) must be TIED with activation bits
          "RAW"                | "EXP"                | parameterization (EXP) must be RAW with activat
          "floor":null         | "floor":0.5          | floor (0.5) must be -Infinity with activation bits
          "beta":10.0          | "beta":5             | beta (5.0) must be 10.0 with activation bits
          "cut_bandwidth":0.0  | "cut_bandwidth":0.2  | cutBandwidth (0.2) must be 0.0 with activation
          "SUM"                | "MEAN"               | rule (MEAN) must be SUM with activation bits
          "activation_bits":4  | "activation_bits":1  | activationBits (1) must be 2 to 8
          "weight_bits":4      | "weight_bits":9      | weightBits (9) must be 2 to 8
          "form":"TIED"        | "form":null          | Null value for creator property 'form'
          ,"weight_bits":4     | ``                   | Missing creator property 'weight_bits'
          """)
  void optionsThatAreNoneAreOneSentence(String good, String bad, String sentence) {
    NetOptions quantized =
        NetOptions.original()
            .with(ActivationOptions.original().quantized(QuantizationMethod.LSQ, 4, 4));
    String text = quantized.toJson().replace(good, bad);
    ActclipException e =
        assertThrows(ActclipException.class, () -> NetOptions.fromJson(text), text);
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(sentence), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
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
