package io.github.actclip.runtime;

import java.util.Iterator;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GradMode;

/**
 * Owns every tensor (and every other native object) that the current thread makes while the scope
 * is open, and frees them when it closes.
 *
 * <p>Tensors are native memory that the garbage collector does not see: a loop without a scope
 * grows until the machine is out of memory. Open one around each step:
 *
 * <pre>{@code
 * try (var scope = new TensorScope()) {
 *   Tensor loss = cross_entropy_loss(net.forward(images), labels);
 *   loss.backward();
 *   optimizer.step();
 * }
 * }</pre>
 *
 * <p>Scopes nest. What lives longer than the step (modules, optimizers, data) is made outside of
 * it, or handed out with {@link #keep}. A scope belongs to the thread that opened it, which is a
 * platform thread: see {@link LibTorch}.
 */
public final class TensorScope implements AutoCloseable {

  private final PointerScope scope;
  private boolean restoresGrad;

  /**
   * Opens a scope on the current thread; loads LibTorch.
   *
   * @throws ActclipException on a virtual thread, and where LibTorch cannot be loaded
   */
  public TensorScope() {
    LibTorch.load();
    scope = new PointerScope();
  }

  /** Runs {@code body} in a scope of its own. */
  public static void run(Runnable body) {
    TensorScope scope = new TensorScope();
    try (scope) {
      body.run();
    }
  }

  /**
   * Records no gradients on this thread from here until the scope closes, like {@code
   * torch.no_grad()}.
   *
   * @return this scope
   */
  public TensorScope noGrad() {
    if (GradMode.is_enabled()) {
      GradMode.set_enabled(false);
      restoresGrad = true;
    }
    return this;
  }

  /**
   * Takes a tensor (or another native object) out of this scope: it is then the caller's to close.
   * A module cannot be kept, since what it holds ends with the scope: make it outside.
   *
   * @return {@code object}
   */
  public <T extends Pointer> T keep(T object) {
    Arguments.requireOpen("what the scope is to hand out", object);
    boolean scoped = object.referenceCount() > 0;
    object.retainReference();
    if (scoped) { // Else no scope has it, and nobody but the caller ever had.
      scope.detach(object);
    }
    return object;
  }

  /**
   * Gives a tensor (or another native object) to the scope that encloses this one; where there is
   * none, it is the caller's to close. For results of methods that open a scope of their own.
   *
   * @return {@code object}
   */
  public <T extends Pointer> T pass(T object) {
    keep(object);
    Iterator<PointerScope> scopes = PointerScope.getScopeIterator();
    while (scopes.hasNext()) {
      if (scopes.next() == scope && scopes.hasNext()) {
        scopes.next().attach(object);
        object.releaseReference(); // the one that kept it
        break;
      }
    }
    return object;
  }

  /** Frees what was made in this scope and not kept. */
  @Override
  public void close() {
    if (restoresGrad) {
      GradMode.set_enabled(true);
      restoresGrad = false;
    }
    scope.close();
  }
}
