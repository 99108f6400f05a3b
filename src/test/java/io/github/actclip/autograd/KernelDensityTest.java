package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The estimated gradient of a cut against the derivative of the expected loss in closed form, for
 * standard normal x and the loss (y − c)²/2, of which the estimate makes no error but for the
 * bandwidth's.
 */
class KernelDensityTest {

  static {
    LibTorch.load();
  }

  private static final int BATCHES = 500;
  private static final int BATCH_SIZE = 4096;
  private static final double TARGET = -1;
  private static final double[] BANDWIDTHS = {0.02, 0.05, 0.1, 0.2, 0.5, 1};

  /** In standard errors: with 24 comparisons, one in 70,000 seeds would fail. */
  private static final double CERTAIN = 5;

  private TensorScope scope;
  private Tensor x;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(41);
    x = Gradients.normal(BATCHES, BATCH_SIZE);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** A form whose output jumps at the cut, and its output on either side. */
  private enum Jumping {
    UNTIED(1, 0.5) {
      @Override
      double below(double x) {
        return x;
      }

      @Override
      double above(double x) {
        return 0.5;
      }

      @Override
      Tensor apply(Tensor x, Tensor cut, Tensor other, ThresholdGradient rule) {
        return ClipFunctions.untied(x, cut, other, rule, ThresholdGradient.SUM);
      }
    },
    GENERALIZED_RELU(0.5, 0.25) {
      @Override
      double below(double x) {
        return 0;
      }

      @Override
      double above(double x) {
        return x + 0.25;
      }

      @Override
      Tensor apply(Tensor x, Tensor cut, Tensor other, ThresholdGradient rule) {
        return ClipFunctions.generalizedRelu(x, other, cut, rule);
      }
    };

    private final double cut;
    private final double other;

    Jumping(double cut, double other) {
      this.cut = cut;
      this.other = other;
    }

    abstract double below(double x);

    abstract double above(double x);

    abstract Tensor apply(Tensor x, Tensor cut, Tensor other, ThresholdGradient rule);

    double jump() {
      return below(cut) - above(cut);
    }

    /** p(t1)·(L(below) − L(above)) at x = t1. */
    double derivative() {
      return density(cut) * (loss(below(cut)) - loss(above(cut)));
    }

    /** The mean of the n-th power of what one element adds to the estimate, by Simpson's rule. */
    double moment(int n, double bandwidth) {
      double left = integral(v -> power(below(v), n, v), cut - bandwidth / 2, cut);
      double right = integral(v -> power(above(v), n, v), cut, cut + bandwidth / 2);
      return Math.pow(jump() / bandwidth, n) * (left + right);
    }

    private static double power(double y, int n, double x) {
      return Math.pow(y - TARGET, n) * density(x);
    }

    double bias(double bandwidth) {
      return moment(1, bandwidth) - derivative();
    }

    double deviation(double bandwidth) {
      double mean = moment(1, bandwidth);
      return Math.sqrt((moment(2, bandwidth) - mean * mean) / BATCH_SIZE);
    }
  }

  private static double loss(double y) {
    return (y - TARGET) * (y - TARGET) / 2;
  }

  private static double density(double x) {
    return Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  private static double integral(DoubleUnaryOperator f, double from, double to) {
    int steps = 100;
    double step = (to - from) / steps;
    double sum = f.applyAsDouble(from) + f.applyAsDouble(to);
    for (int i = 1; i < steps; i++) {
      sum += f.applyAsDouble(from + i * step) * (i % 2 == 0 ? 2 : 4);
    }
    return sum * step / 3;
  }

  @ParameterizedTest
  @EnumSource(Jumping.class)
  void itsMeanAndDeviationAreThoseThatTheDensityImplies(Jumping form) {
    for (double bandwidth : BANDWIDTHS) {
      double[] estimates = estimates(form, bandwidth);
      double deviation = form.deviation(bandwidth);
      assertEquals(
          form.derivative() + form.bias(bandwidth),
          mean(estimates),
          CERTAIN * deviation / Math.sqrt(BATCHES),
          "mean at " + bandwidth);
      assertEquals(
          deviation,
          deviation(estimates),
          CERTAIN * deviation / Math.sqrt(2 * (BATCHES - 1)),
          "deviation at " + bandwidth);
    }
  }

  /**
   * With the bandwidth, not with its square: below the cut the loss is differentiated at x, a
   * quarter of the bandwidth away on average.
   */
  @ParameterizedTest
  @EnumSource(Jumping.class)
  void itsBiasFallsWithTheBandwidth(Jumping form) {
    double slope = form.bias(1e-3) / 1e-3;
    assertTrue(Math.abs(slope) > 1e-3, "slope " + slope);
    assertEquals(slope, form.bias(1e-2) / 1e-2, 0.02 * Math.abs(slope));
    for (double bandwidth : BANDWIDTHS) {
      double bias = mean(estimates(form, bandwidth)) - form.derivative();
      double error = CERTAIN * form.deviation(bandwidth) / Math.sqrt(BATCHES);
      assertTrue(Math.abs(bias) < 2 * Math.abs(slope) * bandwidth + error, "at " + bandwidth);
    }
  }

  @ParameterizedTest
  @EnumSource(Jumping.class)
  void itsVarianceGrowsAsTheInverseOfTheBandwidth(Jumping form) {
    double widest = Math.pow(deviation(estimates(form, 0.2)), 2) * 0.2;
    for (double bandwidth : new double[] {0.02, 0.05, 0.1}) {
      double variance = Math.pow(deviation(estimates(form, bandwidth)), 2);
      assertEquals(widest, variance * bandwidth, 0.3 * widest, "at " + bandwidth);
    }
  }

  /** Without an estimate, autograd says that moving the cut changes nothing. */
  @ParameterizedTest
  @EnumSource(Jumping.class)
  void withoutItTheCutGetsNothing(Jumping form) {
    assertEquals(0, mean(estimates(form, ThresholdGradient.FROZEN)));
  }

  /** One estimate for each batch: each has a cut of its own. */
  private double[] estimates(Jumping form, double bandwidth) {
    return estimates(form, ThresholdGradient.kernelDensity(bandwidth));
  }

  private double[] estimates(Jumping form, ThresholdGradient rule) {
    Tensor cuts = Gradients.leaf(forEachBatch(form.cut));
    Tensor y = form.apply(x, cuts, forEachBatch(form.other), rule);
    Tensor loss = y.sub(new Scalar(TARGET)).square().div(new Scalar(2));
    loss.sum().div(new Scalar(BATCH_SIZE)).backward();
    return Gradients.take(cuts);
  }

  private static Tensor forEachBatch(double value) {
    return torch.ones(BATCHES, 1).to(ScalarType.Double).mul(new Scalar(value));
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  private static double deviation(double[] values) {
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return Math.sqrt(squares / (values.length - 1));
  }
}
