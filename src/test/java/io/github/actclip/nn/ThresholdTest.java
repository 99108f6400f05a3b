package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What freezing says, and what it is. */
class ThresholdTest {

  @Test
  void freezingAndUnfreezingAreInTheLog() {
    TensorScope.run(
        () -> {
          try (LogCapture log = new LogCapture(Threshold.class)) {
            Clip clip = new Clip(new ClipOptions(ClipForm.TWO_SIDED).initial(1.5).initialMin(-2));
            assertEquals(List.of(), log.lines());
            clip.freeze();
            clip.unfreeze();
            assertEquals(
                List.of(
                    "INFO The threshold max is frozen at 1.5",
                    "INFO The threshold min is frozen at -2.0",
                    "INFO The threshold max learns again, from 1.5",
                    "INFO The threshold min learns again, from -2.0"),
                log.lines());
          }
        });
  }

  @Test
  void theRuleFrozenIsInTheLog() {
    TensorScope.run(
        () -> {
          try (LogCapture log = new LogCapture(Threshold.class)) {
            ActivationOptions.of(ClipForm.TIED, ThresholdRule.FROZEN).layer(1);
            assertEquals(List.of("INFO The threshold max is frozen at 1.0"), log.lines());
          }
        });
  }

  @Test
  void aParameterThatMerelyRequiresNoGradientIsNotFrozen() {
    TensorScope.run(
        () -> {
          Threshold max = new Clip(new ClipOptions(ClipForm.TIED)).thresholds().get(0);
          max.parameter().set_requires_grad(false);
          assertFalse(max.isFrozen());
          max.freeze();
          assertTrue(max.isFrozen());
          max.parameter().set_requires_grad(true);
          assertFalse(max.isFrozen());
        });
  }
}
