package io.github.actclip.nn;

import io.github.actclip.autograd.Ceil;
import io.github.actclip.autograd.FakeQuantizeFunction;
import io.github.actclip.autograd.LowerBound;
import io.github.actclip.op.QuantizeOp;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Supplier;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A uniform quantizer whose threshold is learned, for activations or weights. {@link #forward} is
 * fake quantization: it clips and rounds, and returns floating point; the gradient passes through
 * the rounding (see {@link FakeQuantizeFunction} for the formulas).
 *
 * <p>Its parameters, (1) or (channels) float32: PACT {@code max}; LSQ {@code scale}; LSQ+ {@code
 * scale} and {@code offset}; TQT {@code raw_max}, the binary logarithm of its threshold.
 *
 * <p>The integer view: a code q, {@code low} to {@code high}, stands for q·s + β; see {@link
 * #codes}, {@link #scale}, {@link #offset} and {@link #dequantize}.
 *
 * <p>A scale is at least the smallest normal float32 number, 2^−126 (1.2e-38). Options and data
 * that would need a smaller one are refused. What training moves (or a file puts) below it, such as
 * below 0, is used as that number, and its gradient passes only where descending it raises the
 * scale, so that it comes back.
 */
public final class FakeQuantize extends ThresholdLayer {

  private final FakeQuantizeOptions options;
  private final Threshold first;
  private final Threshold learnedOffset;
  private final FakeQuantizeFunction fakeQuantize;
  private final Ceil ceil = new Ceil();
  private final LowerBound leastLog2;

  /** What it quantizes all the time, where that is a weight. */
  private Optional<Supplier<Tensor>> weight = Optional.empty();

  /** A quantizer on the CPU. */
  public FakeQuantize(FakeQuantizeOptions options) {
    super("FakeQuantize", options.channels(), options.axis());
    this.options = options;
    fakeQuantize =
        new FakeQuantizeFunction(options.low(), options.high(), options.method().scaleGradient());
    double least = options.leastThreshold();
    leastLog2 = new LowerBound(Math.log(least) / Math.log(2));
    String meaning = options.meaning();
    first =
        switch (options.method()) {
          case PACT ->
              learned(
                  "max",
                  options.initial(),
                  ThresholdKind.max(Parameterization.RAW, least, meaning));
          case LSQ, LSQ_PLUS ->
              learned(
                  "scale",
                  options.initial() / options.high(),
                  ThresholdKind.scale(FakeQuantizeOptions.LEAST_SCALE, meaning));
          case TQT -> learned("max", options.initial(), ThresholdKind.powerOfTwo(least, meaning));
        };
    learnedOffset =
        options.method() == QuantizationMethod.LSQ_PLUS
            ? learned("offset", 0, ThresholdKind.free(meaning))
            : null;
  }

  /** The quantizer of the weight of a convolution or a linear layer, if it has one. */
  public static Optional<FakeQuantize> ofWeight(Module layer) {
    if (layer instanceof QuantizedConv2d conv) {
      return Optional.of(conv.quantizer());
    }
    return layer instanceof QuantizedLinear linear
        ? Optional.of(linear.quantizer())
        : Optional.empty();
  }

  /** What it was made with. */
  public FakeQuantizeOptions options() {
    return options;
  }

  @Override
  public void calibrate(Tensor x, Calibration calibration) {
    double[] tops = tops(x, calibration, options.bits(), options.signed());
    for (double top : tops) {
      options.requireThreshold("the threshold for these values", top);
    }
    if (learnsScale()) {
      Arrays.setAll(tops, c -> tops[c] / options.high());
    }
    first.setOrFloor(tops);
  }

  /** Ties it to the weight that it quantizes. */
  void quantizes(Supplier<Tensor> tied) {
    weight = Optional.of(tied);
  }

  @Override
  void calibrateWeight() {
    weight.ifPresent(tied -> calibrate(tied.get(), Calibration.MSE));
  }

  /**
   * The codes of x.
   *
   * @param x as {@link #forward} takes it
   * @return int8 when signed, else uint8, of the shape of x, without a gradient; the caller's scope
   *     owns it. What is NaN has no code: it becomes any.
   */
  public Tensor codes(Tensor x) {
    requireOpen();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor position = QuantizeOp.position(x, broadcast(scale(), x), broadcast(offset(), x));
      Tensor codes = QuantizeOp.codes(position, options.low(), options.high());
      return scope.pass(codes.to(options.signed() ? ScalarType.Char : ScalarType.Byte));
    }
  }

  /**
   * What codes stand for: for float32 activations, bit for bit what {@link #forward} returned.
   *
   * @param codes integers of a shape that has the quantizer's channels
   * @return float32, without a gradient; the caller's scope owns it
   */
  public Tensor dequantize(Tensor codes) {
    requireOpen();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return scope.pass(
          QuantizeOp.dequantize(codes, broadcast(scale(), codes), broadcast(offset(), codes)));
    }
  }

  /** The scale s, (1) or (channels), differentiable by the parameter. */
  public Tensor scale() {
    return switch (options.method()) {
      case PACT -> first.value().div(new Scalar(options.high()));
      case LSQ, LSQ_PLUS -> first.value();
      case TQT -> {
        Tensor log2 = ceil.apply(leastLog2.bound(first.parameter()));
        // Divided before the power is taken, which would be infinite from 2^128 on.
        yield log2.sub(new Scalar(Integer.numberOfTrailingZeros(options.steps()))).exp2();
      }
    };
  }

  /** The offset β, (1) or (channels): 0 but for LSQ+, differentiable by the parameter. */
  public Tensor offset() {
    return learnedOffset == null ? torch.zeros_like(first.parameter()) : learnedOffset.value();
  }

  /** The code that stands for 0, −β/s, (1) or (channels): a whole number only where β is 0. */
  public Tensor zeroPoint() {
    return offset().neg().div(scale());
  }

  @Override
  <V> V describe(LayerGraph<V> graph, V x) {
    return graph.fakeQuantize(this, x);
  }

  @Override
  Tensor limit(Tensor x) {
    return fakeQuantize.apply(x, broadcast(scale(), x), broadcast(offset(), x));
  }

  @Override
  Tensor limitRectified(Tensor x) {
    return fakeQuantize.reluInPlace(x, broadcast(scale(), x), broadcast(offset(), x));
  }

  @Override
  Optional<Tensor> limitNormalized(BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    if (options.method() != QuantizationMethod.PACT) {
      return Optional.empty(); // Backward needs more of each element than a byte says.
    }
    return fakeQuantize.batchNormRelu(
        norm, x, addend, broadcast(scale(), x), broadcast(offset(), x));
  }

  @Override
  Tensor limitAbove() {
    return scale().mul(new Scalar(options.high())).add(offset());
  }

  private boolean learnsScale() {
    return options.method() == QuantizationMethod.LSQ
        || options.method() == QuantizationMethod.LSQ_PLUS;
  }

  private Threshold learned(String name, double initial, ThresholdKind kind) {
    return register(new Threshold(this, name, initial, channels(), kind));
  }
}
