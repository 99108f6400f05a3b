package io.github.actclip.export;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * Plans a network in integers. What the network does not quantize itself gets 8 bits, over what the
 * data that it is calibrated with makes of it.
 */
final class IntegerGraph implements LayerGraph<IntegerValue> {

  private static final int SIGNED_ZERO = 128;

  /**
   * A layer of the plan.
   *
   * @param inputs the places of its inputs: 0 is what the network is given, i + 1 is what step i
   *     gives
   */
  record Step(IntegerLayer layer, int... inputs) {}

  private final LayerGraph<Tensor> eager = LayerGraph.eager();
  private final WeightsByName names;
  private final List<Step> steps = new ArrayList<>();

  IntegerGraph(WeightsByName names) {
    this.names = names;
  }

  List<Step> steps() {
    return steps;
  }

  /** What the network is given. */
  IntegerValue input(Tensor samples) {
    return IntegerValue.of(samples, new IntegerValue.Coded(0, Grid.over(samples)));
  }

  /** What gives the output: codes where something is behind the last sums. */
  IntegerValue.Call output(IntegerValue x) {
    return x.sums()
        .filter(IntegerValue.Sums::isBare)
        .orElseGet(() -> same(x))
        .call()
        .apply(Grid.over(x.samples()));
  }

  private IntegerValue.Sums same(IntegerValue x) {
    IntegerValue.Coded coded = coded(x);
    return IntegerValue.Sums.of(new IntegerSame(coded.grid()), coded.place());
  }

  private IntegerValue.Coded coded(IntegerValue x) {
    return x.coded(sums -> quantize(sums, Grid.over(x.samples())));
  }

  private IntegerValue.Coded quantize(IntegerValue.Sums sums, Grid grid) {
    Grid used = sums.rectified() ? grid.rectified() : grid;
    IntegerValue.Call call = sums.call().apply(used);
    int place = add(Requantize.of(call.operation(), grid), call.inputs());
    for (IntegerLayer layer : sums.after()) {
      place = add(layer, place);
    }
    if (used.isNarrow()) {
      place = add(new IntegerClamp(used.low(), used.high()), place);
    }
    return new IntegerValue.Coded(place, used);
  }

  private int add(IntegerLayer layer, int... inputs) {
    steps.add(new Step(layer, inputs));
    return steps.size();
  }

  @Override
  public IntegerValue conv(Conv2dImpl conv, IntegerValue x) {
    String name = names.of(conv.weight());
    IntegerWeights weights = IntegerWeights.of(name, conv, conv.weight(), conv.bias());
    Window window = Window.of(name, conv);
    IntegerValue.Coded in = coded(x);
    IntegerValue.Foldable foldable =
        new IntegerValue.Foldable(weights, w -> IntegerConv.of(w, window, in.grid()), in.place());
    return IntegerValue.of(eager.conv(conv, x.samples()), IntegerValue.Sums.of(foldable));
  }

  @Override
  public IntegerValue linear(LinearImpl linear, IntegerValue x) {
    String name = names.of(linear.weight());
    IntegerWeights weights = IntegerWeights.of(name, linear, linear.weight(), linear.bias());
    IntegerValue.Coded in = coded(x);
    IntegerValue.Foldable foldable =
        new IntegerValue.Foldable(weights, w -> IntegerLinear.of(w, in.grid()), in.place());
    return IntegerValue.of(eager.linear(linear, x.samples()), IntegerValue.Sums.of(foldable));
  }

  @Override
  public IntegerValue batchNorm(BatchNorm2dImpl norm, IntegerValue x) {
    IntegerValue.Foldable foldable =
        x.sums()
            .flatMap(IntegerValue.Sums::foldable)
            .orElseThrow(
                () ->
                    ActclipException.badInput(
                        "a batch normalisation of %d channels is not behind a convolution, of which"
                            + " integers make it a part",
                        norm.options().num_features().get()));
    return IntegerValue.of(
        eager.batchNorm(norm, x.samples()),
        IntegerValue.Sums.of(foldable.then(ChannelMap.of(norm))));
  }

  @Override
  public IntegerValue dropout(DropoutImpl dropout, IntegerValue x) {
    return x;
  }

  @Override
  public IntegerValue relu(IntegerValue x) {
    Tensor samples = eager.relu(x.samples());
    return IntegerValue.of(samples, x.sums().orElseGet(() -> same(x)).thenRelu());
  }

  @Override
  public IntegerValue clip(Clip clip, IntegerValue x) {
    if (clip.form() == ClipForm.NONE) {
      return x;
    }
    throw ActclipException.badInput(
        "a clip of the form %s is no quantizer, which integers need: train with bits for weights and"
            + " activations, or export it in float32",
        clip.form());
  }

  @Override
  public IntegerValue fakeQuantize(FakeQuantize quantizer, IntegerValue x) {
    double[] scale = TensorNumbers.of(quantizer.scale());
    if (scale.length > 1 || TensorNumbers.of(quantizer.offset())[0] != 0) {
      throw ActclipException.badInput(
          "a quantizer of activations (%s) has an offset, or a scale for each channel: integers take"
              + " one scale, and 0 as a code",
          quantizer.options());
    }
    int zero = quantizer.options().signed() ? SIGNED_ZERO : 0;
    Grid grid =
        new Grid(
            scale[0], zero, quantizer.options().low() + zero, quantizer.options().high() + zero);
    return IntegerValue.of(
        eager.fakeQuantize(quantizer, x.samples()),
        quantize(x.sums().orElseGet(() -> same(x)), grid));
  }

  @Override
  public IntegerValue maxPool(int kernel, int stride, int padding, IntegerValue x) {
    return then(
        new IntegerPool(Window.pool(kernel, stride, padding)),
        x,
        eager.maxPool(kernel, stride, padding, x.samples()));
  }

  @Override
  public IntegerValue globalAveragePool(IntegerValue x) {
    IntegerValue.Coded in = coded(x);
    int plane = (int) (x.samples().size(2) * x.samples().size(3));
    IntegerOperation mean = new IntegerMean(in.grid(), plane);
    return IntegerValue.of(
        eager.globalAveragePool(x.samples()),
        IntegerValue.Sums.of(mean, in.place()).then(new IntegerFlatten()));
  }

  @Override
  public IntegerValue flatten(IntegerValue x) {
    return x.samples().dim() == 2 ? x : then(new IntegerFlatten(), x, eager.flatten(x.samples()));
  }

  /** Before codes are made of sums, or of the codes. */
  private IntegerValue then(IntegerLayer layer, IntegerValue x, Tensor samples) {
    return x.sums()
        .map(sums -> IntegerValue.of(samples, sums.then(layer)))
        .orElseGet(
            () -> {
              IntegerValue.Coded in = coded(x);
              return IntegerValue.of(
                  samples, new IntegerValue.Coded(add(layer, in.place()), in.grid()));
            });
  }

  @Override
  public IntegerValue add(IntegerValue x, IntegerValue y) {
    return IntegerValue.of(
        eager.add(x.samples(), y.samples()),
        IntegerValue.Sums.of(
            grid -> {
              IntegerValue.Coded left = addend(x, y, grid);
              IntegerValue.Coded right = addend(y, x, grid);
              return new IntegerValue.Call(
                  new IntegerAdd(left.grid(), right.grid()), left.place(), right.place());
            }));
  }

  /**
   * The codes there are, or finer ones: what the other cannot bring back saturates here already.
   */
  private IntegerValue.Coded addend(IntegerValue x, IntegerValue other, Grid sum) {
    return x.codedFor(
        sums -> quantize(sums, Grid.over(x.samples()).within(sum, Grid.over(other.samples()))));
  }
}
