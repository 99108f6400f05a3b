package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.autograd.Ceil;
import io.github.actclip.autograd.CustomFunction;
import io.github.actclip.autograd.FunctionContext;
import io.github.actclip.autograd.GradientCheck;
import io.github.actclip.data.DataLoader;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.op.ClipStatistics;
import io.github.actclip.op.QuantizeOp;
import io.github.actclip.optim.GradScaler;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LargeTensors;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What is null, undefined, closed or without data is one sentence, wherever it is handed in. */
class ArgumentsTest {

  private static final TrainerOptions SGD_OPTIONS = TrainerOptions.defaults(OptimizerType.SGD);

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static <T extends Pointer> T closed(T object) {
    object.close();
    return object;
  }

  private static Tensor onMeta(long... shape) {
    return torch.ones(shape).to(new Device("meta"), ScalarType.Float);
  }

  private static Arguments of(String argument, Consumer<Tensor> call) {
    return Arguments.of(argument, call);
  }

  /** Every method that takes a tensor, and what it calls it; those of clips have a test there. */
  static Stream<Arguments> takersOfTensors() {
    return Stream.of(
        of("the activations", t -> clip().forward(t)),
        of("the activations", t -> clip().calibrate(t, Calibration.MAX)),
        of("the activations", t -> Clip.relu(t, torch.ones(1))),
        of("the threshold", t -> Clip.relu(torch.ones(1), t)),
        of("the activations", t -> quantizer().codes(t)),
        of("the codes", t -> quantizer().dequantize(t)),
        of("the codes", t -> QuantizeOp.dequantize(t, torch.ones(1), torch.ones(1))),
        of("the positions", t -> QuantizeOp.codes(t, 0, 3)),
        of("the activations", t -> statistics(t, ones(), bools(), torch.ones(1))),
        of("the gradient", t -> statistics(ones(), t, bools(), torch.ones(1))),
        of("the clipped elements", t -> statistics(ones(), ones(), t, torch.ones(1))),
        of("the threshold", t -> statistics(ones(), ones(), bools(), t)),
        of("the activations", t -> ClipStatistics.sumLike(t, torch.ones(1))),
        of("the threshold", t -> ClipStatistics.sumLike(torch.ones(2), t)),
        of("the loss", Autograd::backward),
        of("the loss", t -> Autograd.grad(t, torch.ones(1))),
        of("input 0", t -> Autograd.grad(torch.ones(1).requires_grad_(true).sum(), t)),
        of("input 0", t -> GradientCheck.check(in -> in[0], t)),
        of("the function's output", t -> GradientCheck.check(in -> t, torch.ones(1))),
        of("the tensor", LargeTensors::like),
        of("the loss", t -> new GradScaler().scale(t)));
  }

  private static ClipStatistics statistics(Tensor x, Tensor g, Tensor clipped, Tensor t) {
    return new ClipStatistics(x, g, clipped, t, torch.ones(1));
  }

  private static Tensor ones() {
    return torch.ones(2, 3);
  }

  private static Tensor bools() {
    return ones().to(ScalarType.Bool);
  }

  private static Clip clip() {
    return new Clip(new ClipOptions(ClipForm.RELU).perChannel(3, 1));
  }

  private static FakeQuantize quantizer() {
    return new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4));
  }

  @ParameterizedTest(name = "{0} {index}")
  @MethodSource("takersOfTensors")
  void noTensor(String argument, Consumer<Tensor> call) {
    for (Tensor none : new Tensor[] {null, new Tensor(), closed(torch.ones(1))}) {
      assertRefused(argument + ": there is no tensor", () -> call.accept(none));
    }
  }

  static Stream<Consumer<Tensor>> lookersAtImages() {
    Net net = new Net();
    return Stream.of(net::forward, net::observe, images -> net.calibrate(images, Calibration.MAX));
  }

  @ParameterizedTest
  @MethodSource("lookersAtImages")
  void imagesThatAreNone(Consumer<Tensor> look) {
    Tensor images = torch.ones(2, 3, 32, 32);
    assertRefused(
        "the images are on meta and the network is on cpu: move one of them",
        () -> look.accept(onMeta(2, 3, 32, 32)));
    assertRefused(
        "the images: the tensor is sparse, and this network takes dense ones",
        () -> look.accept(images.to_sparse()));
    assertRefused(
        "the images: the tensor is in oneDNN's layout, and this network takes dense ones",
        () -> look.accept(images.to_mkldnn()));
  }

  @Test
  void noImages() {
    Net net = new Net();
    assertRefused("the images: null was given", () -> net.forward(null));
    assertRefused(
        "the images have the shape [0]: this network takes (B, 3, 32, 32)",
        () -> net.forward(new Tensor()));
    assertRefused(
        "the images: it was closed; make it outside of the scope that closed it",
        () -> net.forward(closed(torch.ones(2, 3, 32, 32))));
    for (Tensor none : new Tensor[] {null, new Tensor(), closed(torch.ones(1))}) {
      assertRefused("the data to observe: there is no tensor", () -> net.observe(none));
      assertRefused(
          "the data to calibrate from: there is no tensor",
          () -> net.calibrate(none, Calibration.MAX));
    }
  }

  @Test
  void aClosedNetwork() {
    Net net = new Net();
    StateDict.of(net); // its handles keep its tensors alive, not its layers
    net.close();
    Tensor images = torch.ones(2, 3, 32, 32);
    String sentence = "this network was closed: make it outside of the scope that closed it";
    assertRefused(sentence, () -> net.forward(images));
    Device cpu = new Device("cpu");
    String itWas = ": it was closed; make it outside of the scope that closed it";
    assertRefused("the network" + itWas, () -> new Trainer(net, SGD_OPTIONS, cpu));
    assertRefused("the network" + itWas, () -> net.observe(images));
    assertRefused("the network" + itWas, () -> net.calibrate(images, Calibration.MAX));
    assertRefused("the network" + itWas, () -> Evaluator.evaluate(net, ShortTraining.IMAGES, cpu));
    assertRefused("the module" + itWas, () -> StateDict.of(net));
    assertRefused("the module" + itWas, () -> StateDict.load(net, Map.of()));

    Trainer trainer = new Trainer(new Net(), SGD_OPTIONS, cpu);
    cpu.close();
    assertRefused(
        "the device" + itWas, () -> trainer.fit(ShortTraining.IMAGES, ShortTraining.IMAGES));
    assertRefused("the module: null was given", () -> StateDict.of(null));
    assertRefused(
        "the network: null was given",
        () -> Evaluator.evaluate(null, ShortTraining.IMAGES, new Device("cpu")));
  }

  @Test
  void aClosedLayer() {
    String sentence = "this layer was closed: make it outside of the scope that closed it";
    Clip clip = closed(clip());
    assertRefused(sentence, () -> clip.calibrate(torch.ones(2, 3), Calibration.MAX));
    assertRefused(
        "the layer: it was closed; make it outside of the scope that closed it",
        () -> new Net(NetOptions.original(), clip));
    FakeQuantize quantizer = closed(quantizer());
    assertRefused(sentence, () -> quantizer.codes(torch.ones(2)));
    assertRefused(sentence, () -> quantizer.dequantize(torch.ones(2)));
  }

  @Test
  void calibrationByChannelRefusesWhatItCannotRead() {
    String sentence =
        "the values are a sparse tensor, or one without data: calibration takes dense ones";
    for (Tensor wrong :
        new Tensor[] {onMeta(2, 3), torch.ones(2, 3).to_sparse(), torch.ones(2, 3).to_mkldnn()}) {
      assertRefused(sentence, () -> clip().calibrate(wrong, Calibration.MAX));
      assertRefused(sentence, () -> Calibration.KL.threshold(wrong, 8, false));
    }
  }

  static Stream<Consumer<Device>> takersOfDevices() {
    return Stream.of(
        device -> Autocast.run(device, ScalarType.BFloat16, () -> 1),
        Precision.BFLOAT16::requireOn,
        device -> new Trainer(new Net(), SGD_OPTIONS, device),
        device -> Evaluator.evaluate(new Net(), ShortTraining.IMAGES, device));
  }

  @ParameterizedTest
  @MethodSource("takersOfDevices")
  void aDeviceThatIsNone(Consumer<Device> taker) {
    assertRefused("the device: null was given", () -> taker.accept(null));
    assertRefused(
        "the device: it was closed; make it outside of the scope that closed it",
        () -> taker.accept(closed(new Device("cpu"))));
    assertRefused(
        "the device (meta) must be the CPU or a CUDA device",
        () -> taker.accept(new Device("meta")));
    Device far = new Device("cuda:100");
    ActclipException e = assertThrows(ActclipException.class, () -> taker.accept(far));
    assertTrue(e.getMessage().startsWith("the device cuda:100 "), e.getMessage());
  }

  @Test
  void aLoaderForADeviceThatIsNone() {
    assertRefused(
        "the device: null was given", () -> SGD_OPTIONS.loader(ShortTraining.IMAGES, null));
    assertRefused(
        "the device: it was closed; make it outside of the scope that closed it",
        () -> DataLoader.sequential(ShortTraining.IMAGES, 10, closed(new Device("cpu"))));
    assertRefused(
        "the device (xla) must be the CPU or a CUDA device",
        () -> DataLoader.sequential(ShortTraining.IMAGES, 10, new Device("xla")));
  }

  @Test
  void namesAndDtypesThatAreNone() {
    assertRefused(
        "the device (null) must be one of auto, cpu, cuda, cuda:N", () -> Devices.of(null));
    for (ScalarType dtype : new ScalarType[] {null, ScalarType.Float, ScalarType.Long}) {
      assertRefused(
          "the dtype (" + dtype + ") must be BFloat16 or Half",
          () -> Autocast.run(new Device("cpu"), dtype, () -> 1));
    }
  }

  @Test
  void optimizersAndParametersThatAreNone() {
    String closed = ": it was closed; make it outside of the scope that closed it";
    Clip clip = clip();
    TensorVector none = closed(new TensorVector(torch.ones(1)));
    TensorVector undefined = new TensorVector(torch.ones(1), new Tensor());
    OptimizerType sgd = OptimizerType.SGD;
    assertRefused(
        "the parameters: null was given", () -> sgd.create(null, SGD_OPTIONS.optimizer()));
    assertRefused("the parameters" + closed, () -> sgd.create(none, SGD_OPTIONS.optimizer()));
    assertRefused(
        "the parameters" + closed,
        () -> sgd.create(none, clip.thresholds(), SGD_OPTIONS.optimizer()));
    assertRefused(
        "parameter 1: there is no tensor", () -> sgd.create(undefined, SGD_OPTIONS.optimizer()));
    assertRefused("the parameters" + closed, () -> new GradScaler().unscale(none));
    assertRefused("parameter 1: there is no tensor", () -> new GradScaler().unscale(undefined));
    Optimizer optimizer = closed(new SGD(clip.parameters(), new SGDOptions(0.1)));
    assertRefused(
        "the optimizer" + closed,
        () -> OptimizerType.setLearningRate(optimizer, 0.1, SGD_OPTIONS.optimizer()));
    ThresholdWatch watch = ThresholdWatch.warning(Map.of());
    assertRefused("the optimizer" + closed, () -> watch.afterStep(optimizer));
    assertRefused("the optimizer: null was given", () -> watch.afterStep((Optimizer) null));
  }

  /** Checked before anything is copied. */
  @Test
  void aStateWithATensorThatIsNoneChangesNothing() {
    Net net = new Net();
    Net other = new Net();
    Tensor last = StateDict.of(net).get("linear.bias");
    double[] before = Fixture.values(StateDict.of(net).get("conv1.weight"));
    for (Tensor wrong : new Tensor[] {torch.ones(10).to_sparse(), closed(last)}) {
      Map<String, Tensor> state = new HashMap<>(StateDict.of(other));
      state.put("linear.bias", wrong);
      ActclipException e = assertThrows(ActclipException.class, () -> StateDict.load(net, state));
      assertTrue(e.isBadInput());
      assertTrue(e.getMessage().contains("linear.bias"), e.getMessage());
    }
    assertArrayEquals(before, Fixture.values(StateDict.of(net).get("conv1.weight")));
  }

  @Test
  void aTensorThatCannotBeStored(@TempDir Path folder) {
    for (String name : new String[] {"a.safetensors", "a.pt"}) {
      Path file = folder.resolve(name);
      assertRefused(
          "Tensor \"a\" is undefined; it needs a value",
          () -> StateDict.write(file, Map.of("a", closed(torch.ones(1)))));
    }
  }

  @Test
  void whatAFunctionOfTheUsersGives() {
    Tensor x = torch.ones(1).requires_grad_(true);
    assertRefused(
        "there is no tensor to save at place 0",
        () -> new Mine((context, in) -> context.saveForBackward(closed(torch.ones(1)))).apply(x));
    String name = Mine.class.getName();
    Tensor y = new Mine((context, in) -> {}).apply(x);
    assertRefused(
        name + ".backward returned a closed gradient for input 0: keep it, or return null for none",
        () -> Autograd.backward(y.sum()));
    assertRefused(
        "the inputs of " + Ceil.class.getName() + ": null was given",
        () -> new Ceil().apply((Tensor[]) null));
    assertRefused("the inputs: null was given", () -> Autograd.grad(x, (Tensor[]) null));
  }

  private static final class Mine extends CustomFunction {

    private final BiConsumer<FunctionContext, Tensor[]> before;

    Mine(BiConsumer<FunctionContext, Tensor[]> before) {
      this.before = before;
    }

    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      before.accept(context, inputs);
      return inputs[0].clone();
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      return new Tensor[] {closed(torch.ones(1))};
    }
  }

  @Test
  void nothingIsHandedOutOfAScope() {
    TensorScope inner = new TensorScope();
    try (inner) {
      String what = "what the scope is to hand out: ";
      assertRefused(what + "null was given", () -> inner.keep(null));
      assertRefused(what + "null was given", () -> inner.pass(null));
      assertRefused(
          what + "it was closed; make it outside of the scope that closed it",
          () -> inner.pass(closed(torch.ones(1))));
    }
  }

  private static void assertRefused(String sentence, Runnable body) {
    ActclipException e = assertThrows(ActclipException.class, body::run);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
