package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;

/**
 * Another version of JavaCPP may put it elsewhere: nodes would leak then, and no other test fail.
 */
class WeakReferenceOfPeerTest {

  @Test
  void isFoundWhereJavaCppPutsItAndDeleted() {
    String reason = KernelLibrary.whyNotLoaded();
    assumeTrue(reason.isEmpty(), reason);
    TensorScope.run(
        () -> {
          FunctionPreHook hook = new Hook();
          assertNotEquals(0, WeakReferenceOfPeer.find(hook.address(), hook));
          assertEquals(0, WeakReferenceOfPeer.find(hook.address(), "another object"));
          WeakReferenceOfPeer.of(hook).delete();
          assertEquals(0, WeakReferenceOfPeer.find(hook.address(), hook));
        });
  }

  private static final class Hook extends FunctionPreHook {
    @Override
    public TensorVector apply(TensorVector gradients) {
      return gradients;
    }
  }
}
