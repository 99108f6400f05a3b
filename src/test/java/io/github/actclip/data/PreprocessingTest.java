package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.Json;
import io.github.actclip.runtime.LibTorch;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

class PreprocessingTest {

  private static final Normalization NORMALIZATION =
      new Normalization(List.of(0.1, 0.2, 0.3), List.of(0.4, 0.5, 1 / 3.0));

  static {
    LibTorch.load();
  }

  @Test
  void jsonKeepsAllOfIt() {
    Preprocessing photos =
        Preprocessing.ofImages(256)
            .centerCrop(224)
            .inGrey()
            .normalized(NORMALIZATION)
            .named(List.of("Dachs", "Fuchs \"é\""));
    assertEquals(List.of(3L, 224L, 224L), photos.shape());
    assertEquals(photos, Json.read(Json.line(photos), Preprocessing.class, "a test"));
    Preprocessing rows = Preprocessing.ofValues(7).with("a lambda");
    assertEquals(rows, Json.read(Json.line(rows), Preprocessing.class, "a test"));
  }

  @Test
  void transformsOfATestAreKnownOrNamed() {
    Dataset images = TestData.first(2);
    Preprocessing plain = images.preprocessing();
    assertEquals(List.of(3L, 32L, 32L), plain.shape());
    assertTrue(plain.ofImages());
    assertEquals(10, plain.classes().size());
    assertEquals(
        plain.normalized(NORMALIZATION),
        images.transformed(new Augmentation(4, true), NORMALIZATION).preprocessing());
    assertEquals(
        plain.normalized(NORMALIZATION),
        images
            .transformed(Normalization.none(), NORMALIZATION, Normalization.none())
            .preprocessing());
    assertEquals(
        List.of(NORMALIZATION.text()),
        images.transformed(NORMALIZATION, NORMALIZATION).preprocessing().others());
    assertEquals(
        1, images.transformed((data, seeds) -> data.add(data)).preprocessing().others().size());
  }

  @Test
  void valuesOfOtherDtypesAreNamed() {
    try (Tensor data = torch.ones(4, 5).to(ScalarType.Long);
        Tensor floats = torch.ones(4, 2, 5);
        Tensor target = torch.ones(4, 1);
        TensorDataset tokens = new TensorDataset("tokens", data, target);
        TensorDataset values = new TensorDataset("values", floats, target)) {
      assertEquals(List.of("values of the dtype Long"), tokens.preprocessing().others());
      assertEquals(Preprocessing.ofValues(2, 5), values.preprocessing());
    }
  }

  @Test
  void whatCannotBeIsRefused() {
    assertBadInput(() -> Preprocessing.ofValues(0), "[0]");
    assertBadInput(() -> Preprocessing.ofValues(1 << 20, 1 << 20), "268435456");
    assertBadInput(() -> Preprocessing.ofImages(0), "resize(0)");
    assertBadInput(() -> Preprocessing.ofImages(32).centerCrop(33), "centerCrop(33)");
    assertBadInput(() -> Preprocessing.ofValues(3).centerCrop(2), "is for images");
    assertBadInput(() -> Preprocessing.ofValues(3).inGrey(), "is for images");
    assertBadInput(() -> Preprocessing.ofValues(4).normalized(NORMALIZATION), "3 channels", "[4]");
    String damaged = Json.line(Preprocessing.ofImages(32)).replace("32,32", "32,31");
    assertBadInput(() -> Json.read(damaged, Preprocessing.class, "a test"), "a test");
  }

  @Test
  void samplesOfEqualFramingAreExchanged() {
    Preprocessing images = Preprocessing.ofImages(32);
    assertTrue(images.takesAs(images.normalized(NORMALIZATION).named(List.of("a"))));
    assertFalse(images.takesAs(images.inGrey()));
    assertFalse(images.takesAs(Preprocessing.ofValues(3, 32, 32)));
  }
}
