package io.github.actclip.optim;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * Keeps gradients within float16: the loss is multiplied by a large number before backward, and the
 * gradients are divided by it before the optimizer's step. The presets have no {@code
 * torch.amp.GradScaler}; this has its algorithm and its defaults. The scale, from 65,536, is halved
 * when a gradient is infinite or NaN, and that step is left out; it is doubled after 2,000 steps
 * without one.
 *
 * <pre>{@code
 * GradScaler scaler = new GradScaler();
 * Autograd.backward(scaler.scale(loss));
 * if (scaler.unscale(net.parameters())) {
 *   optimizer.step();
 * }
 * }</pre>
 *
 * <p>For one thread. It has no native memory of its own.
 */
public final class GradScaler {

  private static final double INITIAL = 65_536;
  private static final double GROWTH = 2;
  private static final double BACKOFF = 0.5;
  private static final int GROWTH_INTERVAL = 2000;

  private double scale = INITIAL;
  private int growthTracker;

  /**
   * The loss times the scale.
   *
   * @param loss one element, float32
   * @return likewise; the caller's scope owns it
   */
  public Tensor scale(Tensor loss) {
    Arguments.requireTensor("the loss", loss);
    return loss.mul(new Scalar(scale));
  }

  /**
   * Divides all gradients by the scale, in place, and sets the scale of the next step.
   *
   * @param parameters those without a gradient are passed over; one that is there twice counts once
   * @return whether all gradients are finite: if not, the optimizer's step is to be left out
   */
  public boolean unscale(TensorVector parameters) {
    boolean finite;
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      finite = unscaleAll(Network.distinct(parameters), new Scalar(1 / scale));
    }
    update(finite);
    return finite;
  }

  /** Waits for the device once, and not for each gradient. */
  private static boolean unscaleAll(TensorVector parameters, Scalar inverse) {
    Tensor finite = null;
    for (long i = 0; i < parameters.size(); i++) {
      Tensor gradient = parameters.get(i).grad();
      if (gradient.defined()) {
        Tensor is = gradient.mul_(inverse).isfinite().all();
        finite = finite == null ? is : finite.logical_and(is);
      }
    }
    return finite == null || finite.item_bool();
  }

  /** PyTorch's {@code _amp_update_scale_}. */
  void update(boolean finite) {
    if (!finite) {
      scale *= BACKOFF;
      growthTracker = 0;
    } else if (++growthTracker == GROWTH_INTERVAL) {
      scale = scale * GROWTH <= Float.MAX_VALUE ? scale * GROWTH : scale;
      growthTracker = 0;
    }
  }

  /** By what the next loss is multiplied. */
  public double scale() {
    return scale;
  }

  /** How many steps in a row had finite gradients since the scale was changed. */
  public int growthTracker() {
    return growthTracker;
  }

  /**
   * Goes on from where another one was, after {@link #scale()} and {@link #growthTracker()}.
   *
   * @throws ActclipException when it cannot have been there
   */
  public void restore(double otherScale, int otherGrowthTracker) {
    if (!(otherScale > 0 && otherScale <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "the scale of gradients (%s) must be above 0 and fit into a float", otherScale);
    }
    if (otherGrowthTracker < 0 || otherGrowthTracker >= GROWTH_INTERVAL) {
      throw ActclipException.badInput(
          "the growth tracker (%d) must be 0 to %d", otherGrowthTracker, GROWTH_INTERVAL - 1);
    }
    scale = otherScale;
    growthTracker = otherGrowthTracker;
  }
}
