package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class TensorMeaningTest {

  static {
    LibTorch.load();
  }

  @Test
  void everyHandleOfATensorFindsIt() {
    TensorScope.run(
        () -> {
          Tensor tensor = torch.rand(2);
          TensorMeaning.set(tensor, "centimetres");
          assertEquals(Optional.of("centimetres"), TensorMeaning.of(new Tensor(tensor)));
          TensorMeaning.set(tensor, "inches");
          assertEquals(Optional.of("inches"), TensorMeaning.of(tensor));
          tensor.set_data(torch.rand(3)); // as Module.to does
          assertEquals(Optional.of("inches"), TensorMeaning.of(tensor));
        });
  }

  @Test
  void aCopyHasNone() {
    TensorScope.run(
        () -> {
          Tensor tensor = torch.rand(2);
          TensorMeaning.set(tensor, "centimetres");
          assertEquals(Optional.empty(), TensorMeaning.of(tensor.clone()));
          assertEquals(Optional.empty(), TensorMeaning.of(tensor.detach()));
          assertEquals(Optional.empty(), TensorMeaning.of(torch.rand(2)));
        });
  }

  /** LibTorch gives freed memory to the next tensor, which must not inherit a meaning. */
  @Test
  void itEndsWithItsHandle() {
    for (int i = 0; i < 1000; i++) {
      String which = "tensor " + i;
      TensorScope.run(
          () -> {
            Tensor tensor = torch.rand(2);
            assertEquals(Optional.empty(), TensorMeaning.of(tensor), which);
            TensorMeaning.set(tensor, "centimetres");
          });
    }
  }

  @Test
  void noTensorIsOneSentence() {
    Tensor closed = torch.rand(2);
    closed.close();
    for (Tensor none : new Tensor[] {null, new Tensor(), closed}) {
      assertThrows(ActclipException.class, () -> TensorMeaning.of(none));
      assertThrows(ActclipException.class, () -> TensorMeaning.set(none, "centimetres"));
    }
  }
}
