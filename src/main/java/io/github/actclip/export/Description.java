package io.github.actclip.export;

import io.github.actclip.nn.EvaluationMode;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** A network as it is outside of training, whose description says what its forward pass does. */
final class Description {

  /** Relative to the largest output: the two add in different orders at most. */
  private static final double TOLERANCE = 1e-3;

  private Description() {}

  /**
   * Does something with the network in evaluation mode, and without gradients, in a scope of its
   * own.
   *
   * @param shape of some samples, to try the description on
   * @throws ActclipException bad input, when it was closed, describes itself not or as something
   *     else, or does not take such samples
   */
  static <T> T inEvaluation(Network network, long[] shape, Supplier<T> work) {
    Arguments.requireOpen("the network", network);
    return EvaluationMode.of(
        network,
        () -> {
          try (TensorScope scope = new TensorScope()) {
            scope.noGrad();
            requireTrue(network, shape);
            return work.get();
          }
        });
  }

  private static void requireTrue(Network network, long[] shape) {
    Tensor x = samples(shape);
    TensorVector parameters = network.parameters();
    if (parameters.size() > 0) {
      x = x.to(parameters.get(0).device(), parameters.get(0).scalar_type());
    }
    Tensor sample = x;
    String failing = network.kind() + " fails on samples of shape " + Arrays.toString(shape);
    Tensor described =
        ActclipException.inOneSentence(
            () -> failing, () -> network.describe(LayerGraph.eager(), sample.clone()));
    Tensor computed =
        ActclipException.inOneSentence(() -> failing, () -> network.forward(sample.clone()));
    requireSame(network, described, computed);
  }

  /** From -2 to 2; LibTorch's generator, which a training may go on with, is left alone. */
  private static Tensor samples(long... shape) {
    long count = Arrays.stream(shape).reduce(1, Math::multiplyExact);
    Tensor places = torch.arange(new Scalar(count)).to(ScalarType.Double);
    return places
        .square()
        .mul(new Scalar(0.7))
        .sin()
        .mul(new Scalar(2))
        .view(shape)
        .to(ScalarType.Float);
  }

  private static void requireSame(Network network, Tensor described, Tensor computed) {
    if (!Arrays.equals(described.shape(), computed.shape())) {
      throw ActclipException.badInput(
          "%s describes an output of shape %s, and its forward pass gives %s",
          network.kind(), Arrays.toString(described.shape()), Arrays.toString(computed.shape()));
    }
    double largest = computed.abs().max().item_double();
    double difference = described.sub(computed).abs().max().item_double();
    if (!(difference <= TOLERANCE * largest)) { // nor NaN
      throw ActclipException.badInput(
          "%s describes something else than its forward pass computes: of some samples the outputs"
              + " differ by %.3g, and the largest is %.3g",
          network.kind(), difference, largest);
    }
  }
}
