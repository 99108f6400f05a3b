package io.github.actclip.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Normalization;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Clips;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.Scripted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A network of a user's own, and what cannot be exported. */
class OnnxRefusalTest {

  static {
    LibTorch.load();
  }

  @TempDir private Path folder;

  /** A normalisation before, and one behind the convolution, and a clip without a ReLU. */
  private static class Own extends Network {

    final BatchNorm2dImpl before = register("before", new BatchNorm2dImpl(new BatchNormOptions(2)));
    private final Conv2dImpl conv =
        register("conv", new Conv2dImpl(new Conv2dOptions(2, 4, new LongPointer(3, 3))));
    final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(4)));
    private final Clip clip =
        register("clip", new Clip(new ClipOptions(ClipForm.TWO_SIDED).initialMin(-0.5)));
    final LinearImpl head = register("head", new LinearImpl(4, 3));

    @Override
    public Tensor forward(Tensor x) {
      return LayerGraph.eager().network(this, x);
    }

    @Override
    public <V> V describe(LayerGraph<V> graph, V x) {
      V y = graph.conv(conv, graph.batchNorm(before, x));
      y = graph.limit(clip, graph.batchNorm(bn, y));
      return graph.linear(head, graph.globalAveragePool(y));
    }
  }

  @Test
  void aNetworkOfOnesOwnIsExported() {
    Path file = folder.resolve("own.onnx");
    Onnx.export(new Own(), file, OnnxOptions.of(2, 8, 8));
    assertEquals(
        List.of("BatchNormalization", "Conv", "Clip", "GlobalAveragePool", "Flatten", "Gemm"),
        OnnxModel.operations(file));
    new OnnxModel(file).close();
  }

  @Test
  void aNetworkThatDoesNothingIsExported() {
    Network nothing =
        new Network() {
          @Override
          public Tensor forward(Tensor x) {
            return LayerGraph.eager().network(this, x);
          }

          @Override
          public <V> V describe(LayerGraph<V> graph, V x) {
            return x;
          }
        };
    Path file = folder.resolve("nothing.onnx");
    Onnx.export(nothing, file, OnnxOptions.of(3));
    assertEquals(List.of("Identity"), OnnxModel.operations(file));
    new OnnxModel(file).close();
  }

  /** A part that a training keeps in evaluation mode stays in it; so does the generator. */
  @Test
  void anExportLeavesATrainingAsItIs() {
    Own own = new Own();
    own.train(true);
    own.before.eval();
    torch.manual_seed(1);
    Tensor next = torch.randn(4);
    torch.manual_seed(1);
    Onnx.export(own, folder.resolve("trained.onnx"), OnnxOptions.of(2, 8, 8));
    assertTrue(torch.randn(4).equal(next));
    assertTrue(own.is_training() && own.bn.is_training() && !own.before.is_training());
  }

  @Test
  void aNetworkThatDoesNotDescribeItselfIsRefused() {
    Network silent =
        new Network() {
          @Override
          public Tensor forward(Tensor x) {
            return x.relu();
          }
        };
    assertRefused(silent, "does not say what it computes: override describe(LayerGraph, V)");
    assertRefused(
        Clips.insert(Scripted.file("small"), new ClipOptions(ClipForm.RELU)),
        "is a network of TorchScript, of which nothing is known layer by layer");
  }

  @Test
  void aDescriptionOfAnotherNetworkIsRefused() {
    assertRefused(
        new Own() {
          @Override
          public Tensor forward(Tensor x) {
            return super.forward(x).mul(new Scalar(2));
          }
        },
        "describes something else than its forward pass computes");
    assertRefused(
        new Own() {
          @Override
          public Tensor forward(Tensor x) {
            return super.forward(x).flatten();
          }
        },
        "describes an output of shape [2, 3], and its forward pass gives [6]");
    assertRefused(
        new Own() {
          @Override
          public Tensor forward(Tensor x) {
            return super.forward(x).mul(new Scalar(Double.NaN));
          }
        },
        "describes something else than its forward pass computes");
  }

  @Test
  void whatHasNoFormInOnnxIsRefused() {
    BatchNormOptions batchOnly = new BatchNormOptions(2);
    batchOnly.track_running_stats().put(false);
    BatchNorm2dImpl norm = new BatchNorm2dImpl(batchOnly);
    assertRefused(
        new Own() {
          @Override
          public <V> V describe(LayerGraph<V> graph, V x) {
            return super.describe(graph, graph.batchNorm(norm, x));
          }
        },
        "a batch normalisation without running statistics, of 2 channels");
    LinearImpl wide = new LinearImpl(8, 8);
    assertRefused(
        new Own() {
          @Override
          public <V> V describe(LayerGraph<V> graph, V x) {
            return graph.linear(wide, x);
          }
        },
        "flatten it first");
  }

  @Test
  void samplesThatTheNetworkDoesNotTakeAreRefused() {
    ActclipException refusal = refusal(() -> export(new Net(), OnnxOptions.of(3, 16, 32)));
    assertTrue(refusal.getMessage().contains("[2, 3, 16, 32]"), refusal.getMessage());
    refusal = refusal(() -> export(new Own(), OnnxOptions.of(5, 8, 8)));
    assertTrue(refusal.getMessage().startsWith("Own"), refusal.getMessage());
    assertEquals(1, refusal.getMessage().lines().count());
  }

  @Test
  void optionsAreChecked() {
    OnnxOptions images = OnnxOptions.of(3, 32, 32);
    assertEquals("opset (12) must be 13 to 21", refusal(() -> images.opset(12)).getMessage());
    assertEquals("opset (22) must be 13 to 21", refusal(() -> images.opset(22)).getMessage());
    assertTrue(refusal(() -> OnnxOptions.of(3, 0)).getMessage().contains("[3, 0]"));
    Normalization grey = new Normalization(List.of(0.5), List.of(0.5));
    assertTrue(refusal(() -> images.normalization(grey)).getMessage().contains("1 channels"));
  }

  @Test
  void aFileThatCannotBeWrittenIsNamed() {
    Path file = folder.resolve("missing").resolve("own.onnx");
    ActclipException failure =
        assertThrows(
            ActclipException.class, () -> Onnx.export(new Own(), file, OnnxOptions.of(2, 8, 8)));
    assertFalse(failure.isBadInput());
    assertTrue(failure.getMessage().startsWith(file + " cannot be written"));
  }

  private void assertRefused(Network network, String reason) {
    ActclipException refusal = refusal(() -> export(network, OnnxOptions.of(2, 8, 8)));
    assertTrue(refusal.getMessage().contains(reason), refusal.getMessage());
    assertFalse(Files.exists(folder.resolve("refused.onnx")));
  }

  private void export(Network network, OnnxOptions options) {
    Onnx.export(network, folder.resolve("refused.onnx"), options);
  }

  private static ActclipException refusal(Runnable work) {
    return assertThrows(ActclipException.class, work::run);
  }
}
