package io.github.actclip.nn.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Python;
import io.github.actclip.testing.Scripted;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A scripted network as a network: state, modes, observation, calibration, files, threads. */
class ScriptModuleTest {

  private static final ClipOptions RELU = new ClipOptions(ClipForm.RELU);

  @TempDir Path folder;
  private ScriptModule network;
  private TensorScope scope;
  private Tensor x;

  static {
    LibTorch.load();
  }

  @BeforeEach
  void open() {
    torch.manual_seed(5);
    network = Clips.insert(Scripted.file("network"), RELU.initial(0.5));
    scope = new TensorScope();
    x = torch.randn(6, 3, 8, 8);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void modulesKnowTheirModes() {
    Tensor mean = StateDict.of(network).get("layer1.0.bn1.running_mean");
    Tensor before = mean.clone();
    network.eval();
    network.forward(x);
    Bits.assertSame(before, mean, "in evaluation mode");
    network.train(true);
    network.forward(x);
    assertFalse(before.equal(mean), "in training mode");
    network.named_children().get("layer1").eval(); // of a part alone
    Tensor after = mean.clone();
    network.forward(x);
    Bits.assertSame(after, mean, "of the part");
  }

  @Test
  void aStateThatIsLoadedIsWhatRuns() {
    network.eval();
    Tensor y = network.forward(x);
    Map<String, Tensor> state = new LinkedHashMap<>();
    StateDict.of(network).forEach((name, tensor) -> state.put(name, tensor.detach().clone()));
    ScriptModule other = Clips.insert(Scripted.file("network"), RELU.initial(3));
    other.eval();
    assertFalse(y.equal(other.forward(x)));
    StateDict.load(other, state);
    other.toChannelsLast();
    assertTrue(torch.allclose(y, other.forward(x)));
    assertEquals(0.5, other.thresholds().get("clip0.max").mean());
  }

  /** Each clip's threshold is the largest of what comes to it through those before it. */
  @Test
  void calibratesFromTheFirstToTheLast() {
    network.eval();
    network.calibrate(x, Calibration.MAX);
    Map<String, Double> largest = largest();
    assertEquals(29, largest.size());
    largest.forEach(
        (name, max) -> assertEquals(max, network.thresholds().get(name).mean(), 1e-6 * max, name));
  }

  private Map<String, Double> largest() {
    Map<String, Double> largest = new LinkedHashMap<>();
    network.observe(x, (name, input) -> largest.put(name, input.max().item_double()));
    return largest;
  }

  /** As often as it runs for the sake of 29 thresholds. */
  @Test
  void runningStatisticsCountOneCalibrationOnce() {
    network.calibrate(x, Calibration.MAX);
    Map<String, Tensor> state = StateDict.of(network);
    assertEquals(1, state.get("bn1.num_batches_tracked").item_long());
    assertEquals(1, state.get("layer1.2.bn2.num_batches_tracked").item_long());
    ScriptModule other = Clips.insert(Scripted.file("network"), RELU);
    network.thresholds().forEach((name, t) -> other.thresholds().get(name).set(t.mean()));
    other.forward(x); // once, with the thresholds as they were set
    String last = "layer1.2.bn2.running_var";
    Bits.assertSame(StateDict.of(other).get(last), state.get(last), last);
  }

  @Test
  void statisticsAreThoseOfAnObservation() {
    network.eval();
    Map<String, ActivationStatistics> all = network.observe(x);
    network.forward(x); // the first that records gradients
    all.forEach(
        (name, expected) -> {
          Threshold threshold = network.thresholds().get(name);
          Optional<ActivationStatistics> seen = threshold.layer().statistics();
          assertEquals(Optional.of(expected), seen, name);
        });
    assertTrue(network.thresholds().get("v.clip12.max").layer().statistics().isEmpty());
  }

  /** Whether they are observed or not: checkpoints do not say which pass was. */
  @Test
  void passesThatAreObservedGiveTheSameBits() {
    ScriptModule other = Clips.insert(Scripted.file("network"), RELU.initial(0.5));
    other.setObserved(false);
    for (int i = 0; i < 3; i++) {
      Tensor one = network.forward(x);
      Tensor two = other.forward(x);
      Bits.assertSame(one, two, "output");
      one.sum().backward();
      two.sum().backward();
      Map<String, Tensor> state = StateDict.of(other);
      StateDict.of(network)
          .forEach(
              (name, tensor) -> {
                if (tensor.grad().defined()) {
                  Bits.assertSame(tensor.grad(), state.get(name).grad(), name);
                }
              });
    }
  }

  @Test
  void buffersThatAreReplacedCountOn() {
    ScriptModule counter = Clips.insert(Scripted.file("counter"), RELU);
    for (int i = 0; i < 3; i++) {
      counter.forward(x); // observed and not
    }
    counter.observe(x);
    assertEquals(4, StateDict.of(counter).get("count").item_float());
    counter.eval();
    counter.forward(x);
    counter.train(true);
    StateDict.of(counter).get("count").zero_();
    counter.forward(x);
    assertEquals(1, StateDict.of(counter).get("count").item_float());
  }

  @Test
  void whatIsSavedIsLoadedAgain() {
    network.thresholds().get("v.clip7.max").set(0.25);
    network.thresholds().get("clip0.max").freeze();
    network.eval();
    Path file = folder.resolve("saved.pt");
    network.save(file);
    ScriptModule again = ScriptModule.load(file);
    assertFalse(again.is_training());
    Bits.assertSame(network.forward(x), again.forward(x), "output");
    assertEquals(StateDict.of(network).keySet(), StateDict.of(again).keySet());
    assertEquals(0.25, again.thresholds().get("v.clip7.max").mean());
    assertTrue(again.thresholds().get("clip0.max").isFrozen());
    assertEquals("ScriptModule of Network", again.toString());
    again.calibrate(x, Calibration.MAX);
    assertFalse(again.thresholds().get("v.clip7.max").mean() == 0.25);
  }

  @Test
  void pythonRunsWhatIsSaved() throws Exception {
    Optional<Python> python = Python.with("torch");
    assumeTrue(python.isPresent(), "python3-torch is not installed");
    network.forward(x);
    network.eval();
    network.save(folder.resolve("saved.pt"));
    StateDict.write(folder.resolve("x.pt"), Map.of("x", x));
    python.get().run("check_scripted.py", folder);
    Map<String, Tensor> back = StateDict.read(folder.resolve("back.pt"));
    Map<String, Tensor> state = StateDict.of(network);
    Tensor y = back.remove("y");
    assertTrue(torch.allclose(y, network.forward(x), 1e-4, 1e-5, false), "the output");
    assertEquals(state.keySet(), back.keySet());
    back.forEach((name, tensor) -> Bits.assertSame(state.get(name), tensor, name));
  }

  @Test
  void runsInMixedPrecision() {
    network.eval();
    Tensor expected = network.forward(x);
    Tensor y =
        Autocast.run(Devices.of("cpu"), ScalarType.BFloat16, () -> network.forward(x))
            .to(ScalarType.Float);
    assertFalse(expected.equal(y));
    double largest = expected.abs().max().item_double();
    assertEquals(0, expected.sub(y).abs().max().item_double() / largest, 0.05);
    y.sum().backward();
    assertTrue(network.thresholds().get("clip0.max").parameter().grad().defined());
  }

  @Test
  void severalThreadsMayRunItInEvaluationMode() throws Exception {
    network.eval();
    Tensor expected = network.forward(x);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        boolean records = i % 2 == 0;
        tasks.add(() -> isSame(expected, records));
      }
      for (Future<Boolean> same : threads.invokeAll(tasks)) {
        assertTrue(same.get());
      }
    } finally {
      threads.shutdown();
    }
  }

  private boolean isSame(Tensor expected, boolean records) {
    try (TensorScope inner = new TensorScope()) {
      if (!records) {
        inner.noGrad();
      }
      return network.forward(x).equal(expected);
    }
  }

  /** The modules of which nobody here has a Java object are not collected as garbage. */
  @Test
  void livesOnWhenGarbageIsCollected() {
    long parameters = network.parameters().size();
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    assertEquals(parameters, network.parameters().size());
    network.forward(x).sum().backward();
  }
}
