package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Losses and metrics, against their formulas. */
class LossTest {

  private static final double TOLERANCE = 1e-6;

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static Tensor logits() {
    return torch.tensor(new float[] {1, 2, 0, 3, -1, 3.5f}).view(2, 3);
  }

  private static Tensor classes(long... classes) {
    return torch.tensor(classes);
  }

  private static Tensor column(float... values) {
    return torch.tensor(values).view(values.length, 1);
  }

  @Test
  void crossEntropyIsTheMeanOfTheNegativeLogarithms() {
    double first = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(0)) - 1;
    double second = Math.log(Math.exp(3) + Math.exp(-1) + Math.exp(3.5)) - 3.5;
    double loss = Loss.crossEntropy().of(logits(), classes(0, 2)).item_double();
    assertEquals((first + second) / 2, loss, TOLERANCE);
  }

  @Test
  void meanSquaredErrorIsTheMeanOfTheSquares() {
    double loss = Loss.meanSquaredError().of(column(1, 2), column(3, 2.5f)).item_double();
    assertEquals((4 + 0.25) / 2, loss, TOLERANCE);
  }

  @Test
  void binaryCrossEntropyIsTheMeanOfTheNegativeLogarithms() {
    double loss = Loss.binaryCrossEntropy().of(column(2, -1), column(1, 0)).item_double();
    double expected = (Math.log1p(Math.exp(-2)) + Math.log1p(Math.exp(-1))) / 2;
    assertEquals(expected, loss, TOLERANCE);
  }

  @Test
  void metricsCountWhatTheyAreNamedFor() {
    Tensor target = classes(0, 0);
    assertEquals(0, sum(Metric.accuracy(), logits(), target));
    assertEquals(2, sum(Metric.topK(2), logits(), target));
    assertEquals(1, sum(Metric.topK(1), logits(), classes(0, 2)));
    assertEquals(2, sum(Metric.topK(3), logits(), target));
    Tensor nan = torch.full(new long[] {2, 3}, new Scalar(Double.NaN));
    assertEquals(0, sum(Metric.topK(1), nan, target));
    assertRefused("at most the number of classes, which is 3", Metric.topK(4), logits(), target);
    assertEquals(2.5, sum(Metric.meanAbsoluteError(), column(1, 2), column(3, 2.5f)), TOLERANCE);
    assertEquals(1, sum(Metric.accuracy(), column(2, 1), column(1, 0)));
  }

  /** Of each sample, the share of its places counts. */
  @Test
  void aMetricOfManyPlacesIsTheMeanOfEachSample() {
    Tensor output = torch.tensor(new float[] {1, 0, 1, 0, 0, 1, 0, 1}).view(1, 2, 4);
    assertEquals(0.75, sum(Metric.accuracy(), output, classes(0, 1, 0, 0).view(1, 4)));
    Tensor rows = torch.tensor(new float[] {1, 2, 3, 4}).view(2, 2);
    assertEquals(5, sum(Metric.meanAbsoluteError(), rows, torch.zeros(2, 2)), TOLERANCE);
  }

  private static double sum(Metric metric, Tensor output, Tensor target) {
    return metric.sum().apply(output, target).item_double();
  }

  /** LibTorch would broadcast them, and learn something else. */
  @Test
  void shapesThatAreNotTheSameAreRefused() {
    String reason = "the network's output has the shape [2, 1] and the target [2]";
    Tensor flat = torch.tensor(new float[] {1, 2});
    assertRefused(reason, Loss.meanSquaredError(), column(1, 2), flat);
    assertRefused(reason, Loss.binaryCrossEntropy(), column(1, 2), flat);
    assertRefused(reason, Metric.meanAbsoluteError(), column(1, 2), flat);
    assertRefused(
        "they must be (B, classes, …) and (B, …)", Loss.crossEntropy(), logits(), classes(0));
    assertRefused("and the target [2, 1]", Metric.topK(2), logits(), classes(0, 1).view(2, 1));
  }

  @Test
  void whatIsNoClassIsRefused() {
    assertRefused("the target 3 is no class", Loss.crossEntropy(), logits(), classes(0, 3));
    assertRefused("the target -1 is no class", Loss.crossEntropy(), logits(), classes(-1, 0));
    Tensor ints = torch.tensor(new int[] {0, 1});
    assertRefused("the target is Int: classes are int64", Loss.crossEntropy(), logits(), ints);
    Tensor longs = classes(1, 2).view(2, 1);
    assertRefused("the same floating point", Loss.meanSquaredError(), column(1, 2), longs);
  }

  private static void assertRefused(String reason, Loss loss, Tensor output, Tensor target) {
    assertRefused(reason, assertThrows(ActclipException.class, () -> loss.of(output, target)));
  }

  private static void assertRefused(String reason, Metric by, Tensor output, Tensor target) {
    assertRefused(reason, assertThrows(ActclipException.class, () -> sum(by, output, target)));
  }

  private static void assertRefused(String reason, ActclipException e) {
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  @Test
  void aTargetWithoutSamplesIsRefused() {
    Tensor target = torch.tensor(new long[] {1}).squeeze();
    assertRefused("(B, classes, …)", Loss.crossEntropy(), torch.zeros(3), target);
  }

  @Test
  void namesAreCheckedAndTextsStayTheSame() {
    assertThrows(ActclipException.class, () -> new Metric("loss", Tensor::sub));
    assertThrows(ActclipException.class, () -> new Metric("Top 5", Tensor::sub));
    assertThrows(ActclipException.class, () -> Metric.topK(0));
    Loss lambda = (output, target) -> output.sub(target).abs().mean();
    assertEquals(LossTest.class.getName() + "$$Lambda", lambda.text());
    assertEquals("cross-entropy, nats", Loss.crossEntropy().text());
  }
}
