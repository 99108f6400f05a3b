package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BatchNorm1dImpl;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.InstanceNorm2dImpl;
import org.bytedeco.pytorch.InstanceNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.MaxPool2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class NetworkTest {

  static {
    LibTorch.load();
  }

  /** Does nothing but hold what is registered with it. */
  private static final class Holder extends Network {

    @Override
    public Tensor forward(Tensor x) {
      return x;
    }
  }

  /** Two clips, one behind the other, with a scale between. */
  private static final class TwoClips extends Network {

    private final Clip first = register("first", new Clip(new ClipOptions(ClipForm.TIED)));
    private final Clip second = register("second", new Clip(new ClipOptions(ClipForm.TIED)));

    @Override
    public Tensor forward(Tensor x) {
      return second.forward(first.forward(x).mul(new Scalar(2)));
    }
  }

  private static final class Classifier extends Network {

    private final Conv2dImpl conv =
        register("conv", new Conv2dImpl(new Conv2dOptions(3, 8, new LongPointer(3, 3))));
    private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(8)));
    private final Clip clip =
        register("clip", new Clip(new ClipOptions(ClipForm.RELU).perChannel(8, 1)));
    private final LinearImpl head = register("head", new LinearImpl(8, 4));

    Classifier() {
      toChannelsLast();
    }

    @Override
    public Tensor forward(Tensor x) {
      return head.forward(clip.forward(bn.forward(conv.forward(x))).mean(2, 3));
    }
  }

  /** Registers what it is given. */
  private static final class Nest extends Network {

    Nest(String name, Module child) {
      register(name, child);
    }

    void add(String name, Module child) {
      register(name, child);
    }

    @Override
    public Tensor forward(Tensor x) {
      return x;
    }
  }

  /** A walk through the modules would come to no end, and end the JVM. */
  @Test
  void aPartThatHoldsTheNetworkIsRefused() {
    Nest inner = new Nest("leaf", new LinearImpl(2, 2));
    Nest outer = new Nest("inner", inner);
    Nest outermost = new Nest("outer", outer);
    for (Network holder : List.of(inner, outer, outermost)) {
      ActclipException e = assertThrows(ActclipException.class, () -> inner.add("around", holder));
      assertEquals(
          "Nest cannot be registered as around: it is, or holds, this network itself",
          e.getMessage());
    }
    assertEquals(2, outermost.parameters().size());
  }

  @Test
  void aNameThatAnythingHasIsTaken() {
    Nest network = new Nest("part", new LinearImpl(2, 2));
    network.register_parameter("weight", torch.zeros(1), true);
    network.register_buffer("mask", torch.zeros(1));
    network.register_module("plain", new LinearImpl(2, 2));
    for (String name : List.of("part", "weight", "mask", "plain")) {
      ActclipException e =
          assertThrows(ActclipException.class, () -> network.add(name, new LinearImpl(2, 2)));
      assertEquals(
          "LinearImpl cannot be registered as " + name + ": the network has one of that name",
          e.getMessage());
    }
    assertThrows(ActclipException.class, () -> network.add(null, new LinearImpl(2, 2)));
  }

  /** Kinds of modules that JavaCPP frees with their Java objects. */
  private static Stream<Supplier<Module>> mortal() {
    return Stream.of(
        () -> new BatchNorm1dImpl(new BatchNormOptions(3)),
        () -> new BatchNorm2dImpl(new BatchNormOptions(3)),
        () -> new InstanceNorm2dImpl(new InstanceNormOptions(3)),
        () -> new DropoutImpl(0.5),
        () -> new MaxPool2dImpl(new LongPointer(2, 2)),
        () -> new LinearImpl(2, 2),
        Holder::new);
  }

  /** The Java objects are gone with their scope, or collected; then native code asks for them. */
  @ParameterizedTest
  @MethodSource("mortal")
  void whatIsRegisteredLivesAsLongAsTheNetwork(Supplier<Module> made) {
    Holder network = new Holder();
    long parameters = made.get().parameters().size();
    for (int i = 0; i < 20; i++) {
      String name = "child" + i;
      if (i % 2 == 0) {
        network.register(name, made.get());
      } else {
        TensorScope.run(() -> network.register(name, made.get()));
      }
    }
    for (int i = 0; i < 3; i++) {
      System.gc();
      TensorScope.run(() -> torch.randn(100).add(torch.randn(100)));
    }
    assertEquals(20 * parameters, network.parameters().size());
    network.eval();
    assertFalse(network.children().get(19).is_training());
  }

  @Test
  void thresholdsAreFoundAtEveryDepthByTheirNamesInTheStateDict() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TWO_SIDED));
    FakeQuantize quantizer =
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.TQT, 4));
    Module plain = new Module("plain");
    plain.register_module("act", clip);
    Holder layer = new Holder();
    layer.register("plain", plain);
    Holder network = new Holder();
    network.register("layer1", layer);
    network.register("act", quantizer);
    assertEquals(
        List.of("layer1.plain.act.max", "layer1.plain.act.min", "act.raw_max"),
        List.copyOf(network.thresholds().keySet()));
    assertSame(clip.thresholds().get(1), network.thresholds().get("layer1.plain.act.min"));
    assertSame(quantizer, network.thresholds().get("act.raw_max").layer());
  }

  @Test
  void aLayerOfTwoNamesHasOneThresholdAndIsSteppedOnce() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(2));
    Holder network = new Holder();
    network.register("a", clip);
    network.register("b", clip);
    assertEquals(List.of("a.max"), List.copyOf(network.thresholds().keySet()));
    clip.forward(tensor(5, 1)).sum().backward(); // a gradient of 1
    new SGD(network.parameters(), new SGDOptions(0.5)).step();
    assertEquals(1.5, clip.thresholds().get(0).mean());
  }

  @Test
  void oneCallMakesItChannelsLast() {
    Conv2dImpl conv = new Conv2dImpl(new Conv2dOptions(3, 8, new LongPointer(3, 3)));
    Holder inner = new Holder();
    inner.register("conv", conv);
    Holder network = new Holder();
    network.register("inner", inner);
    Tensor x = torch.randn(2, 3, 6, 6);
    double[] before = Fixture.values(conv.forward(x));
    network.toChannelsLast();
    assertTrue(conv.weight().is_contiguous(MemoryFormat.ChannelsLast));
    assertTrue(conv.forward(x).is_contiguous(MemoryFormat.ChannelsLast));
    assertArrayEquals(before, Fixture.values(conv.forward(x)), 1e-5);
    assertTrue(conv.weight().requires_grad());
  }

  @Test
  void calibrationGoesLayerByLayer() {
    TwoClips network = new TwoClips();
    Tensor x = tensor(-1, 3, 7);
    network.calibrate(x, Calibration.MAX);
    assertEquals(7, network.first.thresholds().get(0).mean());
    assertEquals(14, network.second.thresholds().get(0).mean()); // of what the first lets through
    network.forward(tensor(100));
    assertEquals(7, network.first.thresholds().get(0).mean(), "by that one call alone");
  }

  @Test
  void aLayerThatCannotBeCalibratedEndsIt() {
    TwoClips network = new TwoClips();
    assertThrows(
        ActclipException.class, () -> network.calibrate(tensor(Double.NaN), Calibration.MAX));
    network.forward(tensor(100));
    assertEquals(1, network.first.thresholds().get(0).mean());
    assertEquals(1, network.second.thresholds().get(0).mean());
  }

  @Test
  void namesThatCannotBe() {
    Holder network = new Holder();
    network.register("a", new Holder());
    assertRefused(
        "Holder cannot be registered as a: the network has one of that name",
        () -> network.register("a", new Holder()));
    assertRefused(
        "Holder cannot be registered as self: it is, or holds, this network itself",
        () -> network.register("self", network));
    assertRefused(
        "the name of a module (a.b) must have a letter at least, and no dot",
        () -> network.register("a.b", new Holder()));
    assertRefused("the module b: null was given", () -> network.register("b", null));
    Holder closed = new Holder();
    closed.close();
    assertRefused(
        "the module c: it was closed; make it outside of the scope that closed it",
        () -> network.register("c", closed));
    assertEquals(1, network.children().size());
  }

  /** The heap is touched from the start, so that what the process grows by is native. */
  @Test
  void itLearnsAndItsMemoryStaysFlat() {
    torch.manual_seed(7);
    Classifier network = new Classifier();
    double before = network.thresholds().get("clip.max").mean();
    SGD optimizer = new SGD(network.parameters(), new SGDOptions(0.1));
    Tensor x = torch.randn(16, 3, 8, 8);
    Tensor labels = torch.arange(new Scalar(16)).remainder(new Scalar(4)).to(ScalarType.Long);
    double first = step(network, optimizer, x, labels);
    for (int i = 0; i < 500; i++) {
      step(network, optimizer, x, labels);
    }
    long warm = Pointer.physicalBytes();
    double last = first;
    for (int i = 0; i < 2000; i++) {
      last = step(network, optimizer, x, labels);
    }
    assertTrue(last < first / 2, first + " to " + last);
    assertNotEquals(before, network.thresholds().get("clip.max").mean());
    long grown = (Pointer.physicalBytes() - warm) >> 20;
    assertTrue(grown < 16, "by " + grown + " MiB");
  }

  private static double step(Classifier network, SGD optimizer, Tensor x, Tensor labels) {
    double[] loss = new double[1];
    TensorScope.run(
        () -> {
          optimizer.zero_grad();
          Tensor mean = torch.cross_entropy_loss(network.forward(x), labels);
          mean.backward();
          optimizer.step();
          loss[0] = mean.item_double();
        });
    return loss[0];
  }

  private static Tensor tensor(double... values) {
    Tensor tensor = torch.zeros(values.length);
    for (int i = 0; i < values.length; i++) {
      tensor.select(0, i).fill_(new Scalar(values[i]));
    }
    return tensor;
  }

  private static void assertRefused(String message, Executable call) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertTrue(e.isBadInput());
    assertEquals(message, e.getMessage());
  }
}
