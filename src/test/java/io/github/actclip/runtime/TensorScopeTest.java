package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class TensorScopeTest {

  @Test
  void freesWhatWasMadeInsideAndNotKept() {
    Tensor freed;
    Tensor kept;
    try (TensorScope scope = new TensorScope()) {
      freed = torch.ones(3);
      kept = scope.keep(torch.ones(4));
    }
    assertTrue(freed.isNull());
    assertEquals(4, kept.numel());
    kept.close();
    assertTrue(kept.isNull());
  }

  @Test
  void keptInAnInnerScopeOutlivesBoth() {
    AtomicReference<Tensor> kept = new AtomicReference<>();
    TensorScope.run(
        () -> {
          try (TensorScope inner = new TensorScope()) {
            kept.set(inner.keep(torch.ones(2)));
          }
        });
    assertEquals(2, kept.get().numel());
    kept.get().close();
  }

  @Test
  void keepingWhatNoScopeHasChangesNothing() {
    Tensor unscoped = torch.ones(5);
    try (TensorScope scope = new TensorScope()) {
      assertEquals(unscoped, scope.keep(unscoped));
    }
    assertEquals(5, unscoped.numel());
    unscoped.close();
    assertTrue(unscoped.isNull());
  }

  @Test
  void freesWhenTheBodyThrows() {
    AtomicReference<Tensor> made = new AtomicReference<>();
    assertThrows(
        IllegalStateException.class,
        () ->
            TensorScope.run(
                () -> {
                  made.set(torch.ones(3));
                  throw new IllegalStateException("as expected");
                }));
    assertTrue(made.get().isNull());
  }

  @Test
  void noGradEndsWithTheScope() {
    try (TensorScope outer = new TensorScope()) {
      outer.noGrad();
      try (TensorScope inner = new TensorScope()) {
        inner.noGrad();
        assertFalse(GradMode.is_enabled());
      }
      assertFalse(GradMode.is_enabled());
    }
    assertTrue(GradMode.is_enabled());
  }
}
