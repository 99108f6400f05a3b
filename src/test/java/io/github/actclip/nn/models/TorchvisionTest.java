package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The networks against torchvision's, by {@code src/test/python/make_models_fixture.py}. */
class TorchvisionTest {

  private static final Fixture FIXTURE = Fixture.load("models");

  /** One float32 rounding: the same numbers are drawn, but another vector unit may draw them. */
  private static final double DRAWN = 2e-7;

  /**
   * In float64, which agrees to 1e-8 where the same numbers are drawn; 53 layers make much of a
   * rounding in these.
   */
  private static final double COMPUTED = 1e-4;

  private static final double ZERO = 1e-10;
  private static final long SEED = 11;
  private static final double RATE = 0.05;

  static {
    LibTorch.load();
  }

  /** By their names in the fixture. */
  enum Twin {
    MLP(() -> new Mlp(mlp(ActivationOptions.relu())), 16, 12),
    MLP_CLIPPED(() -> new Mlp(mlp(clip(0.5))), 16, 12),
    RESNET20(() -> new ResNet(ResNetOptions.resnet20(3, 10)), 8, 3, 32, 32),
    RESNET20_CLIPPED(() -> new ResNet(ResNetOptions.resnet20(3, 10).with(clip(1))), 8, 3, 32, 32),
    RESNET18(() -> new ResNet(ResNetOptions.resnet18(3, 10)), 8, 3, 64, 64),
    MOBILENET_V2(() -> mobileNet(1, relu6()), 8, 3, 64, 64),
    MOBILENET_V2_CLIPPED(() -> mobileNet(0.35, clip(1)), 8, 3, 64, 64);

    private final Supplier<Network> maker;
    private final long[] shape;

    Twin(Supplier<Network> maker, long... shape) {
      this.maker = maker;
      this.shape = shape;
    }

    String path() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }

    private static MlpOptions mlp(ActivationOptions activation) {
      return new MlpOptions(12, List.of(20, 14), 10, activation);
    }

    private static Network mobileNet(double width, ActivationOptions activation) {
      return new MobileNetV2(new MobileNetV2Options(width, 0, 3, 10, activation));
    }

    private static ActivationOptions clip(double initial) {
      return ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(initial));
    }

    /** As torchvision's, which does not learn. */
    private static ActivationOptions relu6() {
      ClipOptions six = new ClipOptions(ClipForm.RELU).initial(6);
      return ActivationOptions.clip(six.gradient(ThresholdGradient.FROZEN));
    }
  }

  @ParameterizedTest
  @EnumSource(Twin.class)
  void isTorchvisions(Twin twin) {
    torch.manual_seed(SEED);
    Network network = twin.maker.get();
    TensorScope.run(() -> compare(twin, network));
  }

  private static void compare(Twin twin, Network network) {
    Tensor x = torch.randn(twin.shape).to(ScalarType.Double);
    FIXTURE.assertTensor(twin.path() + "/input", x, DRAWN);
    assertState(twin, network, "start", DRAWN);

    network.to(ScalarType.Double, false);
    network.train(true);
    Tensor output = network.forward(x);
    FIXTURE.assertTensor(twin.path() + "/output", output, COMPUTED);
    Tensor target = torch.arange(new Scalar(twin.shape[0])).remainder(new Scalar(10));
    Tensor loss = cross_entropy_loss(output, target.to(ScalarType.Long));
    assertEquals(FIXTURE.at(twin.path() + "/loss").asDouble(), loss.item_double(), COMPUTED);
    loss.backward();
    assertGradients(twin, network);

    new SGD(network.parameters(), new SGDOptions(RATE)).step();
    assertState(twin, network, "end", COMPUTED);
    network.eval();
    FIXTURE.assertTensor(twin.path() + "/after", network.forward(x), COMPUTED);
  }

  /** All names and shapes, but of thresholds that torchvision has not. */
  private static void assertState(Twin twin, Network network, String when, double tolerance) {
    Map<String, Tensor> state = StateDict.of(network);
    JsonNode expected = FIXTURE.at(twin.path() + "/" + when);
    Set<String> names = new HashSet<>();
    expected.fieldNames().forEachRemaining(names::add);
    Set<String> actual = new HashSet<>(state.keySet());
    if (twin == Twin.MOBILENET_V2) {
      actual.removeAll(network.thresholds().keySet());
    }
    assertEquals(names, actual);
    for (String name : names) {
      assertTensor(path(twin, when, name), state.get(name), tolerance);
    }
  }

  private static void assertGradients(Twin twin, Network network) {
    Map<String, Tensor> state = StateDict.of(network);
    FIXTURE
        .at(twin.path() + "/gradients")
        .fieldNames()
        .forEachRemaining(
            name -> assertTensor(path(twin, "gradients", name), state.get(name).grad(), COMPUTED));
  }

  /** What is 0 but for rounding, such as the gradient of a shift before a normalisation, is so. */
  private static void assertTensor(String path, Tensor actual, double tolerance) {
    if (FIXTURE.at(path + "/norm").asDouble() < ZERO) {
      assertEquals(0, actual.to(ScalarType.Double).norm().item_double(), ZERO, path);
    } else {
      FIXTURE.assertTensor(path, actual, tolerance);
    }
  }

  private static String path(Twin twin, String part, String name) {
    return twin.path() + "/" + part + "/" + name;
  }
}
