package io.github.actclip.samples.cli;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.samples.benchmark.Architecture;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options that say how a network limits its activations. */
final class ActivationMixin {

  /** Where they clip little, as ReLU6 does. */
  private static final double START_OF_OTHERS = 6;

  /** A rule by its name, of any case. */
  static final class RuleConverter implements ITypeConverter<ThresholdGradient> {

    @Override
    public ThresholdGradient convert(String value) {
      return ThresholdGradient.named().stream()
          .filter(rule -> rule.toString().equalsIgnoreCase(value))
          .findFirst()
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected one of "
                          + ThresholdGradient.named()
                          + " (case-insensitive) but was '"
                          + value
                          + "'"));
    }
  }

  @Option(
      names = "--clip",
      paramLabel = "FORM",
      description =
          "One of tied, relu, two_sided, untied, soft, generalized_relu, in_place, or none for a"
              + " plain ReLU (default: tied of net and with activation bits, else relu, which is"
              + " tied with the ReLU in it).")
  private ClipForm form;

  @Option(
      names = "--threshold-gradient",
      paramLabel = "RULE",
      defaultValue = "sum",
      converter = RuleConverter.class,
      description =
          "How the threshold learns: one of sum, mean, sum_of_means, lsq, frozen (default: sum).")
  private ThresholdGradient rule;

  @Option(
      names = "--threshold-init",
      paramLabel = "T",
      description = "The thresholds at the start (default: of net 1, of all others 6).")
  private Double initial;

  @Option(
      names = "--calibrate",
      paramLabel = "METHOD",
      description =
          "Start from the data instead: one of max, percentile, mse, kl of the first batch. By"
              + " default so do mlp, resnet20 and resnet18 from --weights without thresholds, and"
              + " files of TorchScript: by percentile, or with activation bits mse.")
  private Calibration calibration;

  @Option(names = "--per-channel", description = "A threshold for each channel.")
  private boolean perChannel;

  @Option(
      names = "--threshold-parameterization",
      paramLabel = "NAME",
      defaultValue = "raw",
      description = "What is learned: one of raw, abs, softplus, exp, log2 (default: raw).")
  private Parameterization parameterization;

  @Option(
      names = "--threshold-floor",
      paramLabel = "T",
      defaultValue = "-Infinity",
      description = "The least threshold (default: none).")
  private double floor;

  @Option(
      names = "--clip-beta",
      paramLabel = "B",
      defaultValue = "10",
      description = "The sharpness of the soft clip (default: 10).")
  private double beta;

  @Option(
      names = "--cut-bandwidth",
      paramLabel = "E",
      defaultValue = "0",
      description =
          "Lets the cut of untied and generalized_relu learn by a kernel-density estimate of this"
              + " bandwidth (default: 0, it does not learn).")
  private double cutBandwidth;

  @Option(
      names = "--activation-bits",
      paramLabel = "K",
      defaultValue = "0",
      description = "Quantizes activations to 2 to 8 bits (default: 0, it only clips).")
  private int activationBits;

  @Option(
      names = "--weight-bits",
      paramLabel = "K",
      defaultValue = "0",
      description = "Quantizes weights to 2 to 8 bits (default: 0, float32).")
  private int weightBits;

  @Option(
      names = "--quantizer",
      paramLabel = "NAME",
      defaultValue = "pact",
      description = "How quantizers learn: one of pact, lsq, lsq_plus, tqt (default: pact).")
  private QuantizationMethod quantization;

  /** How thresholds start from data; empty when they do not. */
  Optional<Calibration> calibration() {
    return Optional.ofNullable(calibration);
  }

  /** How they start where trained weights have none; empty when as {@link #options} has it. */
  Optional<Calibration> calibrationOfTrained(Architecture<?> architecture) {
    boolean isTrainedWithout = architecture.natural().equals(ActivationOptions.relu());
    if (initial != null || !isTrainedWithout || hasNoTop(form(architecture))) {
      return Optional.empty();
    }
    return Optional.of(activationBits > 0 ? Calibration.MSE : Calibration.PERCENTILE);
  }

  private ClipForm form(Architecture<?> architecture) {
    boolean needsTied = architecture.equals(Architecture.NET) || activationBits > 0;
    ClipForm usual = needsTied ? ClipForm.TIED : ClipForm.RELU;
    return form == null ? usual : form;
  }

  private static boolean hasNoTop(ClipForm form) {
    return form == ClipForm.NONE || form == ClipForm.GENERALIZED_RELU;
  }

  ActivationOptions options(Architecture<?> architecture) {
    ClipForm chosen = form(architecture);
    boolean isAtOne = architecture.equals(Architecture.NET) || hasNoTop(chosen);
    double start = isAtOne ? 1 : START_OF_OTHERS;
    ClipOptions clip =
        new ClipOptions(chosen)
            .gradient(rule)
            .initial(initial == null ? start : initial)
            .parameterization(parameterization)
            .floor(floor)
            .beta(beta);
    return ActivationOptions.clip(learnsCut() ? clip.learnCut(cutBandwidth) : clip)
        .perChannel(perChannel)
        .quantized(quantization, activationBits, weightBits);
  }

  private boolean learnsCut() {
    if (!(cutBandwidth >= 0)) {
      throw ActclipException.badInput("cutBandwidth (%s) must be at least 0", cutBandwidth);
    }
    return cutBandwidth > 0;
  }
}
