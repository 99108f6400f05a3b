package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorScope;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Which backend computes: chosen once for the process, and asked for each call. */
final class Backends {

  private static final String PROPERTY = KernelLibrary.BACKEND_PROPERTY;

  private static final Logger LOG = Loggers.of(Backends.class);

  private static final ClipBackend COMPOSED = new ComposedBackend();

  private static volatile Choice chosen;

  private Backends() {}

  /** A backend, and what it is in words. */
  record Choice(ClipBackend backend, String description) {}

  /**
   * The chosen backend where it takes these tensors, else the composed one.
   *
   * @param check is run before the composed one gets them: the kernels' own is several times faster
   */
  static ClipBackend of(Runnable check, Tensor x, Tensor... thresholds) {
    ClipBackend backend = chosen().backend();
    if (backend != COMPOSED && backend.supports(x, thresholds)) {
      return backend;
    }
    check.run();
    return COMPOSED;
  }

  /** The same for a forward pass, which LibTorch must differentiate where it records one. */
  static ClipBackend forward(Runnable check, Tensor x, Tensor... thresholds) {
    ClipBackend backend = of(check, x, thresholds);
    return isRecorded(x, thresholds) ? COMPOSED : backend;
  }

  /** The backend that made these codes: the kernels' are bytes, LibTorch's indices are not. */
  static ClipBackend ofCodes(Tensor codes) {
    return switch (codes.scalar_type().intern()) {
      case Byte -> chosen().backend();
      case Long -> COMPOSED;
      default -> throw ClipArguments.wrongCodes();
    };
  }

  private static boolean isRecorded(Tensor x, Tensor... thresholds) {
    boolean requires = x.requires_grad();
    for (Tensor threshold : thresholds) {
      requires |= threshold.requires_grad();
    }
    return requires && GradMode.is_enabled();
  }

  /** Whether the kernels were chosen. */
  static boolean isNative() {
    return chosen().backend() != COMPOSED;
  }

  static Choice chosen() {
    LibTorch.load();
    Choice choice = chosen;
    return choice == null ? chooseOnce() : choice;
  }

  private static synchronized Choice chooseOnce() {
    if (chosen == null) {
      chosen = choose(System.getProperty(PROPERTY), Backends::whyNotNative);
    }
    return chosen;
  }

  /**
   * Chooses.
   *
   * @param wanted the property's value, or null
   * @param whyNotNative why the native backend cannot be had; empty when it can
   */
  static Choice choose(String wanted, Supplier<String> whyNotNative) {
    if (wanted != null && !wanted.equals("native") && !wanted.equals("composed")) {
      throw ActclipException.badInput("%s (%s) must be native or composed", PROPERTY, wanted);
    }
    String reason = whyNotNative.get();
    if (reason.isEmpty()) {
      return new Choice(
          new NativeBackend(), "native (" + NativeKernels.cpuCapability() + cuda() + ")");
    }
    if ("native".equals(wanted)) {
      throw ActclipException.failure(
          null, "%s is native, which cannot be had here: %s", PROPERTY, reason);
    }
    LOG.info("Clips are composed of LibTorch's operations: {}", reason);
    return new Choice(COMPOSED, "composed of LibTorch's operations: " + reason);
  }

  private static String whyNotNative() {
    String reason = KernelLibrary.whyNotLoaded();
    return reason.isEmpty() ? whyNotRight(Backends::clipNatively) : reason;
  }

  /** Takes the kernels for CUDA into use where CUDA is, and says so. */
  private static String cuda() {
    if (!Devices.whyNoCuda().isEmpty()) {
      return "";
    }
    String reason = KernelLibrary.whyNotLoadedForCuda();
    if (reason.isEmpty()) {
      reason = whyNotRight(Backends::clipOnCuda);
    }
    if (reason.isEmpty()) {
      return ", CUDA";
    }
    NativeKernels.useCuda(0);
    LOG.info("On CUDA, clips are composed of LibTorch's operations: {}", reason);
    return ", not on CUDA: " + reason;
  }

  private static Tensor clipOnCuda(Tensor x, Tensor t) {
    NativeKernels.useCuda(NativeKernels.cuda());
    return clipNatively(x.cuda(), t.cuda()).cpu();
  }

  private static Tensor clipNatively(Tensor x, Tensor t) {
    return new NativeBackend().clip(x, Limits.above(t));
  }

  /** Three elements, a tie among them, before a library of another version is trusted with more. */
  static String whyNotRight(BinaryOperator<Tensor> clip) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor y = clip.apply(torch.tensor(-2f, 1f, 3f), torch.tensor(1f));
      boolean right = y.defined() && y.equal(torch.tensor(-2f, 1f, 1f));
      return right ? "" : "the kernels clip wrongly";
    } catch (UnsatisfiedLinkError | RuntimeException e) {
      return "the kernels do not run: " + ActclipException.firstLine(e);
    }
  }
}
