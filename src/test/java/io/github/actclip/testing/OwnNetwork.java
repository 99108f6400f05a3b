package io.github.actclip.testing;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Blocks;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.QuantizedConv2d;
import io.github.actclip.nn.QuantizedLinear;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.nn.models.Clips;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.train.Loss;
import io.github.actclip.train.Metric;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LayerNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Networks as users write them, of which make_networks_fixture.py has the twins. */
public enum OwnNetwork {
  CONV("conv", Conv::new, Loss.crossEntropy(), Metric.accuracy()),
  MLP("mlp", () -> new Mlp(false), Loss.meanSquaredError(), Metric.meanAbsoluteError()),
  BRANCHES("branches", () -> new TwoBranches(false), Loss.crossEntropy(), Metric.topK(2)),
  /** Which the fixture has no twin of, as of those that follow. */
  QUANTIZED("quantized", Quantized::new, Loss.crossEntropy(), Metric.accuracy()),
  QUANTIZED_MLP("", () -> new Mlp(true), Loss.meanSquaredError(), Metric.meanAbsoluteError()),
  QUANTIZED_BRANCHES("", () -> new TwoBranches(true), Loss.crossEntropy(), Metric.topK(2)),
  RESNET("resnet", OwnNetwork::resNet, Loss.crossEntropy(), Metric.accuracy()),
  SCRIPTED("", OwnNetwork::scripted, Loss.crossEntropy(), Metric.accuracy());

  /** Its name in the fixture. */
  public final String fixture;

  public final Loss loss;
  public final Metric metric;
  private final Supplier<Network> maker;

  OwnNetwork(String fixture, Supplier<Network> maker, Loss loss, Metric metric) {
    this.fixture = fixture;
    this.maker = maker;
    this.loss = loss;
    this.metric = metric;
  }

  /** Makes it, always with the same weights; outside of a scope. */
  public Network make() {
    torch.manual_seed(17);
    return maker.get();
  }

  /** Random data of so many samples; the caller's scope owns it. */
  public Tensor data(int samples) {
    return switch (this) {
      case CONV, QUANTIZED, RESNET, SCRIPTED -> torch.randn(samples, 3, 8, 8);
      case MLP, QUANTIZED_MLP -> torch.randn(samples, 4);
      case BRANCHES, QUANTIZED_BRANCHES -> torch.randn(samples, 6);
    };
  }

  /** Random targets of so many samples; the caller's scope owns them. */
  public Tensor target(int samples) {
    return this == MLP || this == QUANTIZED_MLP
        ? torch.randn(samples, 1)
        : torch.rand(samples).mul(new Scalar(3)).to(ScalarType.Long);
  }

  /** ResNet-20 with a quarter of its channels, and a clip for each of its ReLUs. */
  private static Network resNet() {
    ActivationOptions clips =
        ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(2)).perChannel(true);
    return new ResNet(
        new ResNetOptions(ResNetOptions.Stem.CIFAR, List.of(3, 3, 3), 4, 3, 5, clips));
  }

  /** Python's, with batch normalisation, two clips, and a dropout of half of everything. */
  private static Network scripted() {
    return Clips.insert(Scripted.file("small"), new ClipOptions(ClipForm.RELU));
  }

  /** Three channels of 8×8, in five classes. */
  private static final class Conv extends Network {

    private final Conv2dImpl conv =
        register("conv", new Conv2dImpl(new Conv2dOptions(3, 8, new LongPointer(3, 3))));
    private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(8)));
    private final Clip clip =
        register("clip", new Clip(new ClipOptions(ClipForm.RELU).perChannel(8, 1)));
    private final LinearImpl head = register("head", new LinearImpl(8, 5));

    @Override
    public Tensor forward(Tensor x) {
      Tensor features = clip.forward(bn.forward(conv.forward(x)));
      return head.forward(torch.adaptive_avg_pool2d(features, 1, 1).flatten(1, -1));
    }
  }

  /** The same, with weights and activations of four bits. */
  private static final class Quantized extends Network {

    private static final FakeQuantizeOptions ACTIVATIONS =
        FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4);

    private final QuantizedConv2d conv =
        register(
            "conv",
            new QuantizedConv2d(
                new Conv2dOptions(3, 8, new LongPointer(3, 3)),
                FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 4, 8)));
    private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(8)));
    private final FakeQuantize act = register("act", new FakeQuantize(ACTIVATIONS));
    private final QuantizedLinear head =
        register(
            "head",
            new QuantizedLinear(
                new LinearOptions(8, 5),
                FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 4, 5)));

    @Override
    public Tensor forward(Tensor x) {
      Tensor features = act.forward(bn.forward(conv.forward(x)).relu());
      return head.forward(torch.adaptive_avg_pool2d(features, 1, 1).flatten(1, -1));
    }
  }

  private static LinearImpl linear(boolean quantized, int in, int out) {
    return quantized
        ? new QuantizedLinear(
            new LinearOptions(in, out), FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 4, out))
        : new LinearImpl(in, out);
  }

  private static ThresholdLayer act(boolean quantized, double initial) {
    return quantized
        ? new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ_PLUS, 4))
        : new Clip(new ClipOptions(ClipForm.RELU).initial(initial));
  }

  /** Four columns, and a number. */
  private static final class Mlp extends Network {

    private final LinearImpl hidden;
    private final ThresholdLayer clip;
    private final LinearImpl output;

    Mlp(boolean quantized) {
      hidden = register("hidden", linear(quantized, 4, 16));
      clip = register("clip", act(quantized, 0.75));
      output = register("output", linear(quantized, 16, 1));
    }

    @Override
    public Tensor forward(Tensor x) {
      return output.forward(Blocks.reluClip(clip, hidden.forward(x)));
    }
  }

  /** Six columns through two branches and one clip, in three classes. */
  private static final class TwoBranches extends Network {

    private final LinearImpl left;
    private final Right right;
    private final ThresholdLayer clip;
    private final LinearImpl head;

    TwoBranches(boolean quantized) {
      left = register("left", linear(quantized, 6, 10));
      right = register("right", new Right(quantized));
      clip = register("clip", act(quantized, 0.5));
      head = register("head", linear(quantized, 20, 3));
    }

    @Override
    public Tensor forward(Tensor x) {
      Tensor one = Blocks.reluClip(clip, left.forward(x));
      Tensor other = Blocks.reluClip(clip, right.forward(x));
      return head.forward(torch.cat(new TensorVector(one, other), 1));
    }
  }

  /** Named as in Python's Sequential. */
  private static final class Right extends Network {

    private final LinearImpl linear;
    private final LayerNormImpl norm;

    Right(boolean quantized) {
      linear = register("0", linear(quantized, 6, 10));
      LayerNormOptions options = new LayerNormOptions(new LongVector(new long[] {10}));
      norm = register("1", new LayerNormImpl(options));
    }

    @Override
    public Tensor forward(Tensor x) {
      return norm.forward(linear.forward(x));
    }
  }
}
