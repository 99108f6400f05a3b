package io.github.actclip.nn.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Weights of a network of plain ReLUs, as of Python's, for one that clips. */
class TrainedWeightsTest {

  private static final ActivationOptions CLIPS =
      ActivationOptions.clip(new ClipOptions(ClipForm.RELU));
  private static final ActivationOptions BITS =
      ActivationOptions.relu().quantized(QuantizationMethod.LSQ, 0, 4);

  static {
    LibTorch.load();
  }

  private ResNet plain;
  private ResNet clipped;
  private ResNet quantized;
  private TensorScope scope;
  private Map<String, Tensor> state;
  private Tensor images;

  /** Of which the running statistics have seen something. */
  @BeforeEach
  void open() {
    torch.manual_seed(5);
    plain = resNet(ActivationOptions.relu());
    clipped = resNet(CLIPS);
    quantized = resNet(BITS);
    scope = new TensorScope();
    images = torch.randn(4, 3, 16, 16);
    plain.forward(images);
    plain.eval();
    clipped.eval();
    state = StateDict.of(plain);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static ResNet resNet(ActivationOptions activation) {
    return new ResNet(
        new ResNetOptions(ResNetOptions.Stem.CIFAR, List.of(1, 1), 4, 3, 5, activation));
  }

  @Test
  void loadStrictlyButForTheThresholdsWhichOneCallSets() {
    List<String> missing = StateDict.loadWeights(clipped, state);
    assertEquals(List.copyOf(clipped.thresholds().keySet()), missing);
    assertEquals(5, missing.size());
    clipped.calibrate(images, Calibration.MAX); // clips nothing of these images
    Bits.assertSame(plain.forward(images), clipped.forward(images), "logits");
  }

  @Test
  void thresholdsThatMeanSomethingElseCountAsNone() {
    Map<String, Tensor> ofClips = StateDict.of(clipped);
    ActivationOptions tied = ActivationOptions.original();
    ResNet pact = resNet(tied.quantized(QuantizationMethod.PACT, 4, 0)); // act1.max, too
    ResNet lsq = resNet(tied.quantized(QuantizationMethod.LSQ, 4, 0)); // act1.scale
    double before = pact.thresholds().get("act1.max").parameter().item_double();
    assertEquals(List.copyOf(pact.thresholds().keySet()), StateDict.loadWeights(pact, ofClips));
    assertEquals(List.copyOf(lsq.thresholds().keySet()), StateDict.loadWeights(lsq, ofClips));
    assertEquals(before, pact.thresholds().get("act1.max").parameter().item_double());
    Bits.assertSame(ofClips.get("fc.weight"), StateDict.of(lsq).get("fc.weight"), "weight");
    assertEquals(List.of(), StateDict.loadWeights(plain, ofClips));
    assertEquals(List.of(), StateDict.loadWeights(clipped, StateDict.of(resNet(CLIPS))));
  }

  @Test
  void namesOfDistributedDataParallelAreTaken() {
    Map<String, Tensor> parallel = named(name -> "module." + name);
    assertEquals(5, StateDict.loadWeights(clipped, parallel).size());
    Bits.assertSame(state.get("fc.weight"), StateDict.of(clipped).get("fc.weight"), "weight");
    String message = refused(() -> StateDict.load(resNet(CLIPS), parallel));
    assertTrue(
        message.endsWith(
            "; all names begin with module., as of DistributedDataParallel, which"
                + " StateDict.loadWeights takes"),
        message);
  }

  @Test
  void filesBeforeTheCountOfBatchesAreTaken() {
    state.keySet().removeIf(name -> name.endsWith("num_batches_tracked"));
    assertEquals(5, StateDict.loadWeights(clipped, state).size());
    assertEquals(0, StateDict.of(clipped).get("bn1.num_batches_tracked").item_long());
  }

  @Test
  void allElseIsRefusedAndNothingChanged() {
    Tensor before = StateDict.of(clipped).get("fc.weight").clone();
    state.remove("layer1.0.bn1.running_mean");
    state.put("fc2.weight", torch.ones(1));
    state.put("fc.bias", torch.ones(7));
    assertEquals(
        "The state does not fit the module: missing: layer1.0.bn1.running_mean; unexpected:"
            + " \"fc2.weight\"; wrong: fc.bias of shape [7] instead of [5]",
        refused(() -> StateDict.loadWeights(clipped, state)));
    Bits.assertSame(before, StateDict.of(clipped).get("fc.weight"), "weight");
  }

  @Test
  void aThresholdOfAnotherShapeIsRefusedUnlessItSaysWhatItMeans() {
    Map<String, Tensor> other = StateDict.of(resNet(CLIPS.perChannel(true)));
    assertEquals(5, StateDict.loadWeights(clipped, other).size());
    other.replaceAll((name, tensor) -> tensor.clone()); // as Python's are
    assertTrue(
        refused(() -> StateDict.loadWeights(clipped, other))
            .contains("act1.max of shape [4] instead of [1]"));
  }

  @Test
  void quantizersOfWeightsStartFromTheLoadedWeights() {
    List<String> missing = StateDict.loadWeights(quantized, state);
    assertEquals(List.copyOf(quantized.thresholds().keySet()), missing);
    double scale = scale(quantized).select(0, 2).item_double();
    Tensor channel = state.get("conv1.weight").select(0, 2);
    assertEquals(Calibration.MSE.threshold(channel, 4, true) / 7, scale, 1e-7);
  }

  @Test
  void quantizersOfWeightsThatTheStateHasAreLoaded() {
    scale(quantized).detach().mul_(new Scalar(3));
    ResNet other = resNet(BITS);
    assertEquals(List.of(), StateDict.loadWeights(other, StateDict.of(quantized)));
    Bits.assertSame(scale(quantized).detach(), scale(other).detach(), "scale");
  }

  private static Tensor scale(ResNet network) {
    return StateDict.of(network).get("conv1.weight_fake_quant.scale");
  }

  private Map<String, Tensor> named(UnaryOperator<String> naming) {
    Map<String, Tensor> named = new LinkedHashMap<>();
    state.forEach((name, tensor) -> named.put(naming.apply(name), tensor));
    return named;
  }

  private static String refused(Executable call) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertTrue(e.isBadInput());
    return e.getMessage();
  }
}
