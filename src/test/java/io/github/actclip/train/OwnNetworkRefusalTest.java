package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.TensorDataset;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.OwnNetwork;
import java.util.List;
import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.BatchNorm1dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Functions and networks of a user's own that a trainer cannot go with, or must leave alone. */
class OwnNetworkRefusalTest {

  private static final TrainerOptions OPTIONS =
      TrainerOptions.builder(OptimizerType.SGD).epochs(1).batchSize(8).learningRate(0.01).build();

  static {
    LibTorch.load();
  }

  private final Device cpu = Devices.of("cpu");
  private TensorDataset data;

  @BeforeEach
  void open() {
    torch.manual_seed(4);
    data = new TensorDataset("noise", OwnNetwork.MLP.data(16), OwnNetwork.MLP.target(16));
  }

  @AfterEach
  void close() {
    data.close();
  }

  private void assertRefused(String reason, Network network, Loss loss, Metric... metrics) {
    Trainer trainer = new Trainer(network, OPTIONS, cpu);
    assertSentence(reason, () -> trainer.loss(loss, metrics).fit(data, data));
    assertSentence(reason, () -> Evaluator.evaluate(network, data, loss, List.of(metrics), cpu));
  }

  private static void assertSentence(String reason, Runnable work) {
    ActclipException e = assertThrows(ActclipException.class, work::run);
    assertTrue(e.getMessage().contains(reason), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }

  @Test
  void whatIsNotOneNumberIsNoLossAndNoMetric() {
    Network network = OwnNetwork.MLP.make();
    assertRefused("the loss has the shape [", network, Tensor::sub);
    assertRefused("the loss has the shape [1, 1]", network, (o, t) -> o.mean().view(1, 1));
    assertRefused("the loss: there is no tensor", network, (o, t) -> null);
    Loss loss = Loss.meanSquaredError();
    assertRefused("the metric m has the shape [", network, loss, metric(Tensor::sub));
    assertRefused("the metric m: there is no tensor", network, loss, metric((o, t) -> null));
    assertRefused(
        "two metrics have the name m", network, loss, metric(Tensor::sub), metric(Tensor::sub));
  }

  private static Metric metric(BinaryOperator<Tensor> sum) {
    return new Metric("m", sum);
  }

  @Test
  void aLossWithoutAGradientIsRefused() {
    Trainer trainer = new Trainer(OwnNetwork.MLP.make(), OPTIONS, cpu);
    Loss constant = (output, target) -> target.mean();
    assertSentence("has no gradient", () -> trainer.loss(constant).fit(data, data));
  }

  @Test
  void dataThatTheNetworkCannotTakeIsOneSentence() {
    assertRefused(
        "the network TwoBranches fails on data of shape [",
        OwnNetwork.BRANCHES.make(),
        Loss.meanSquaredError());
  }

  @Test
  void aNetworkThatGivesNoTensorIsNamed() {
    Network none =
        new Network() {
          @Override
          public Tensor forward(Tensor x) {
            return null;
          }
        };
    assertSentence(
        "the output of the network OwnNetworkRefusalTest$1: there is no tensor",
        () -> Evaluator.evaluate(none, data, Loss.meanSquaredError(), List.of(), cpu));
  }

  @Test
  void whatFailsInLibTorchIsOneSentence() {
    Network network = OwnNetwork.MLP.make();
    Loss loss = (output, target) -> output.matmul(target).mean();
    assertRefused("$$Lambda fails on output of shape [", network, loss);
    Metric metric = metric((output, target) -> output.matmul(target));
    assertRefused("the metric m fails on output of", network, Loss.meanSquaredError(), metric);
    assertSentence(
        "noise gives no batch: ",
        () ->
            Evaluator.evaluate(
                network, data.transformed((batch, seeds) -> batch.matmul(batch)), cpu));
    assertSentence(
        "the network Mlp fails on data of shape [2, 3]: ",
        () -> network.observe(torch.zeros(2, 3)));
  }

  /** A part that is frozen in evaluation mode, and a buffer that is not finite. */
  private static final class Frozen extends Network {

    private final BatchNorm1dImpl norm =
        register("norm", new BatchNorm1dImpl(new BatchNormOptions(4)));
    private final LinearImpl head = register("head", new LinearImpl(4, 1));

    Frozen() {
      register_buffer("mask", torch.full(new long[] {4}, new Scalar(Double.NEGATIVE_INFINITY)));
    }

    @Override
    public Tensor forward(Tensor x) {
      return head.forward(norm.forward(x));
    }
  }

  @Test
  void aPartInEvaluationModeStaysInIt() {
    Frozen network = new Frozen();
    network.norm.eval();
    new Trainer(network, OPTIONS, cpu).loss(Loss.meanSquaredError()).fit(data, data);
    assertFalse(network.norm.is_training());
    assertTrue(network.head.is_training());
    assertEquals(0, network.norm.running_mean().abs().max().item_double());
  }

  @Test
  void aNetworkInEvaluationModeIsTrainedAndIsInItAgain() {
    Frozen network = new Frozen();
    network.eval();
    new Trainer(network, OPTIONS, cpu).loss(Loss.meanSquaredError()).fit(data, data);
    assertFalse(network.norm.is_training());
    assertTrue(network.norm.running_mean().abs().max().item_double() > 0);
  }

  @Test
  void aBufferThatIsNotFiniteIsNotToBlame() {
    Frozen network = new Frozen();
    Trainer trainer = new Trainer(network, OPTIONS, cpu);
    Loss infinite = (output, target) -> output.mean().div(new Scalar(0.0));
    assertSentence(
        "the first that is not finite is the loss itself",
        () -> trainer.loss(infinite).fit(data, data));
  }

  /** What is registered first is come to last. */
  private static final class Reversed extends Network {

    private final Clip last = register("last", new Clip(new ClipOptions(ClipForm.RELU)));
    private final Clip first = register("first", new Clip(new ClipOptions(ClipForm.RELU)));
    private final LinearImpl head = register("head", new LinearImpl(4, 1));

    @Override
    public Tensor forward(Tensor x) {
      return last.forward(head.forward(first.forward(x)));
    }
  }

  @Test
  void theThresholdsOfAnEpochAreInTheOrderOfTheStateDict() {
    Trainer trainer = new Trainer(new Reversed(), OPTIONS, cpu).loss(Loss.meanSquaredError());
    EpochMetrics epoch = trainer.fit(data, data).get(0);
    assertEquals(List.of("last.max", "first.max"), List.copyOf(epoch.thresholds().keySet()));
  }

  @Test
  void aNetworkWithoutANameHasAKind() {
    Network anonymous =
        new Network() {
          @Override
          public Tensor forward(Tensor x) {
            return x;
          }
        };
    assertEquals("OwnNetworkRefusalTest$2", anonymous.kind());
    assertEquals("Frozen", new Frozen().kind());
    assertEquals("Mlp", OwnNetwork.MLP.make().toString());
  }
}
