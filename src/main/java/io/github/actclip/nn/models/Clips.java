package io.github.actclip.nn.models;

import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import org.bytedeco.pytorch.JitModule;

/**
 * Gives a network of TorchScript a learned clip for each of its rectifiers.
 *
 * <pre>{@code
 * ClipOptions six = new ClipOptions(ClipForm.RELU).initial(6);
 * ScriptModule network = Clips.insert(Path.of("resnet18.pt"), six); // 17 thresholds
 * }</pre>
 *
 * <p>Rectifiers are {@code relu}, {@code relu6} and {@code hardtanh} as operations, functions of
 * {@code torch.nn.functional} and modules, in place or not; and {@code clamp} and {@code clamp_min}
 * whose lower limit is the number 0, and whose upper one is a number, too, or none. Each place in
 * the code of {@code forward}, and of all that it calls, gets a clip of its own: a {@code ReLU}
 * that is called twice gives two. A block of which there are several has its own in each; a block
 * that is called twice, or a place in a loop, has the same one each time. Functions that rectify
 * are copied to where they are called. Where a rectifier writes into its input, what its own method
 * reads of that later is clipped; who called the method with it reads what was only rectified.
 *
 * <p>{@link ClipForm#RELU} takes the rectifier's place, so that the 6 of a {@code relu6} is only a
 * start that {@code initial} may repeat; {@link ClipForm#TIED} stands behind it, and limits what it
 * lets through once more. Options are one threshold for all channels, learned as it is or frozen:
 * no other form, parameterization, floor or rule.
 */
public final class Clips {

  private Clips() {}

  /**
   * Loads a file and puts the clips in.
   *
   * @param file as {@link ScriptModule#load} takes it, without clips of this library
   * @return on the CPU, in the mode in which it was saved
   * @throws ActclipException bad input, when {@link ScriptModule#load} would throw it, when the
   *     options ask for more than one threshold that is learned as it is, and when there is no
   *     rectifier, one that is chosen while the network runs, one in place in an if or a loop whose
   *     input is read after that, or one that the form cannot replace
   */
  public static ScriptModule insert(Path file, ClipOptions options) {
    return insert(ScriptFile.load(file), file.toString(), options);
  }

  /**
   * Puts clips into a copy of a module that shares its parameters and buffers; the module itself
   * keeps its code, and may have run.
   *
   * @param module scripted, without clips of this library; where it is not on the CPU, move the
   *     network to where it is, as thresholds start on the CPU
   * @return in the module's mode
   * @throws ActclipException likewise, and when the module is not there or was closed
   */
  public static ScriptModule insert(JitModule module, ClipOptions options) {
    Arguments.requireOpen("the module", module);
    String what = "the module " + ScriptGraphs.simpleName(module.type());
    TensorScope.run(() -> ScriptChecks.require(module, what));
    return insert(module.clone(true), what, options);
  }

  private static ScriptModule insert(JitModule module, String what, ClipOptions options) {
    options.requirePlain("in a module of TorchScript");
    TensorScope.run(
        () -> {
          if (ScriptGraphs.modules(module).values().stream().anyMatch(ScriptClip::isClip)) {
            throw ActclipException.badInput(
                "%s has clips of this library already: load it with ScriptModule.load", what);
          }
          new ClipInsertion(module, what, options).run();
        });
    return new ScriptModule(module);
  }
}
