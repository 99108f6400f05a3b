package io.github.actclip.op;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Activations and gradients with what is easy to get wrong among them. */
final class Samples {

  static final ScalarType[] DTYPES = {
    ScalarType.Double, ScalarType.Float, ScalarType.BFloat16, ScalarType.Half
  };

  private static final double[] SPECIAL = {
    Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0, -0.0, 1e-40, -1e-7
  };

  private final Random random;
  private final Device device;

  Samples(long seed) {
    this(seed, new Device("cpu"));
  }

  Samples(long seed, Device device) {
    random = new Random(seed);
    this.device = device;
  }

  static long count(long... shape) {
    return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
  }

  /** Normal numbers, multiples of an eighth, so that there are ties, and special numbers. */
  Tensor activations(ScalarType type, long... shape) {
    double[] values = new double[(int) count(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (random.nextInt(8)) {
            case 0 -> SPECIAL[random.nextInt(SPECIAL.length)];
            case 1, 2, 3 -> random.nextInt(33) / 8.0 - 2;
            default -> random.nextGaussian();
          };
    }
    return Tensor.create(values, shape).to(device, type);
  }

  /** The same without NaN. */
  Tensor numbers(ScalarType type, long... shape) {
    Tensor values = activations(type, shape);
    return values.masked_fill(values.isnan(), new Scalar(0.25));
  }

  /** Finite numbers, none of them 0. */
  Tensor gradients(ScalarType type, long... shape) {
    double[] values = new double[(int) count(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.copySign(0.125 + random.nextDouble(), random.nextGaussian());
    }
    return Tensor.create(values, shape).to(device, type);
  }

  /** The same shape and values in many layouts, but for the expanded one, whose values repeat. */
  static Map<String, Tensor> layouts(Tensor contiguous) {
    Map<String, Tensor> layouts = new LinkedHashMap<>();
    layouts.put("contiguous", contiguous);
    layouts.put("channels last", contiguous.contiguous(MemoryFormat.ChannelsLast));
    layouts.put("transposed", contiguous.transpose(0, 3).contiguous().transpose(0, 3));
    layouts.put("in steps", inSteps(contiguous));
    layouts.put("expanded", contiguous.narrow(1, 0, 1).expand(contiguous.shape()));
    layouts.put("one number", contiguous.view(-1).narrow(0, 3, 1).expand(contiguous.shape()));
    return layouts;
  }

  private static Tensor inSteps(Tensor contiguous) {
    Tensor doubled = contiguous;
    for (int dim = 1; dim < contiguous.dim(); dim++) {
      doubled = doubled.repeat_interleave(2, new LongOptional(dim), new LongOptional());
    }
    for (int dim = 1; dim < contiguous.dim(); dim++) {
      doubled = doubled.slice(dim, new LongOptional(1), new LongOptional(), 2);
    }
    return doubled;
  }
}
