package io.github.actclip.train;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** A user's own module: a linear layer, clipped. */
public final class ClippedLinear extends Module {

  private static final int SIZE = 4;

  public final LinearImpl linear = register_module("linear", new LinearImpl(SIZE, SIZE));
  public final Clip clip;

  public ClippedLinear(double threshold) {
    super("ClippedLinear");
    clip = register_module("clip", new Clip(new ClipOptions(ClipForm.RELU).initial(threshold)));
  }

  /** Some outputs are above 0.1, and none is above 1000. */
  public Tensor loss() {
    return clip.forward(linear.forward(torch.randn(64, SIZE))).mean();
  }
}
