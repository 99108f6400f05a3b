package io.github.actclip.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.Threshold;
import io.github.actclip.optim.OptimizerConfig;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.OwnNetwork;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.RMSprop;
import org.bytedeco.pytorch.RMSpropOptions;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** In loops of one's own, on batches that are drawn by chance. */
class SnapshotTest {

  static {
    LibTorch.load();
  }

  @TempDir Path folder;

  private static Stream<Arguments> loops() {
    List<Function<Network, Optimizer>> optimizers =
        List.of(
            network -> new Adam(network.parameters(), new AdamOptions(0.01)),
            network -> new RMSprop(network.parameters(), new RMSpropOptions(0.01)),
            SnapshotTest::momentum,
            network ->
                OptimizerType.ADAMW.create(
                    network.parameters(),
                    network.thresholds().values(),
                    OptimizerConfig.defaults(OptimizerType.ADAMW).withThresholds(0.5, 0.1)));
    return Stream.of(OwnNetwork.values())
        .flatMap(kind -> optimizers.stream().map(optimizer -> Arguments.of(kind, optimizer)));
  }

  private static Optimizer momentum(Network network) {
    SGDOptions options = new SGDOptions(0.01);
    options.momentum().put(0.9);
    return new SGD(network.parameters(), options);
  }

  @ParameterizedTest
  @MethodSource("loops")
  void aLoopGoesOnBitForBit(OwnNetwork kind, Function<Network, Optimizer> makeOptimizer) {
    Path file = folder.resolve("snapshot.safetensors");
    Network straight = kind.make();
    Optimizer optimizer = makeOptimizer.apply(straight);
    train(kind, straight, optimizer, 5);
    Snapshot.write(file, straight, optimizer, Map.of("step", "5"));
    train(kind, straight, optimizer, 5);

    Network resumed = kind.make();
    Optimizer again = makeOptimizer.apply(resumed);
    assertEquals(Map.of("step", "5"), Snapshot.restore(file, resumed, again));
    train(kind, resumed, again, 5);
    Map<String, Tensor> actual = StateDict.of(resumed);
    StateDict.of(straight).forEach((name, t) -> Bits.assertSame(t, actual.get(name), name));
  }

  private static void train(OwnNetwork kind, Network network, Optimizer optimizer, int steps) {
    for (int i = 0; i < steps; i++) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            kind.loss.of(network.forward(kind.data(4)), kind.target(4)).backward();
            optimizer.step();
          });
    }
  }

  @Test
  void anotherNetworkOrOptimizerIsRefusedAndNothingChanges() {
    Path file = folder.resolve("snapshot.safetensors");
    Network network = OwnNetwork.MLP.make();
    Snapshot.write(file, network, momentum(network), Map.of());
    Network other = OwnNetwork.BRANCHES.make();
    assertRefused(file, other, momentum(other), "the network Mlp, and this one is TwoBranches");
    Adam adam = new Adam(network.parameters(), new AdamOptions(0.01));
    assertRefused(
        file, network, adam, "holds the state of the optimizer SGD, and this one is Adam");
  }

  @Test
  void whatWasFrozenIsFrozenAndNothingElse() {
    Path file = folder.resolve("snapshot.safetensors");
    Network network = OwnNetwork.MLP.make();
    Threshold threshold = network.thresholds().get("clip.max");
    Snapshot.write(file, network, momentum(network), Map.of());
    threshold.freeze();
    Path frozen = folder.resolve("frozen.safetensors");
    Snapshot.write(frozen, network, momentum(network), Map.of());
    Snapshot.restore(file, network, momentum(network));
    assertFalse(threshold.isFrozen());
    Snapshot.restore(frozen, network, momentum(network));
    assertTrue(threshold.isFrozen());
  }

  @ParameterizedTest
  @ValueSource(strings = {"actclip.x", "sha256"})
  void namesOfOursAreRefused(String name) {
    Path file = folder.resolve("snapshot.safetensors");
    Network network = OwnNetwork.MLP.make();
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> Snapshot.write(file, network, momentum(network), Map.of(name, "")));
    assertTrue(e.getMessage().contains(name), e.getMessage());
    assertFalse(Files.exists(file));
  }

  @Test
  void whatIsDamagedOrNoneIsRefused() throws IOException {
    Path file = folder.resolve("snapshot.safetensors");
    Network network = OwnNetwork.MLP.make();
    Optimizer optimizer = momentum(network);
    Snapshot.write(file, network, optimizer, Map.of());
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
    assertRefused(file, network, optimizer, "is damaged");
    TensorScope.run(() -> new SealedTensors(StateDict.of(network), Map.of()).write(file));
    assertRefused(file, network, optimizer, "is not a checkpoint of a training");
  }

  private static void assertRefused(Path file, Network network, Optimizer by, String reason) {
    List<Tensor> before = StateDict.of(network).values().stream().map(Tensor::clone).toList();
    ActclipException e =
        assertThrows(ActclipException.class, () -> Snapshot.restore(file, network, by));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
    assertFalse(e.getMessage().contains("\n"), e.getMessage());
    int i = 0;
    for (Tensor tensor : StateDict.of(network).values()) {
      Bits.assertSame(before.get(i++), tensor, "a tensor of the network");
    }
  }
}
