package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.javacpp.LongPointer;
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

  /** In place of the reference may stand anything that another version of JavaCPP puts there. */
  @Test
  void isLookedForOnceAndMissedWhereItIsNot() {
    String reason = KernelLibrary.whyNotLoaded();
    assumeTrue(reason.isEmpty(), reason);
    assertTrue(WeakReferenceOfPeer.isFound(hook -> WeakReferenceOfPeer.find(hook.address(), hook)));
    TensorScope.run(
        () -> {
          LongPointer peer = new LongPointer(2);
          for (long word :
              new long[] {0, 1, 2, 3, 0x1234, -1, peer.address(), peer.address() | 1}) {
            peer.put(1, word);
            assertFalse(
                WeakReferenceOfPeer.isFound(hook -> WeakReferenceOfPeer.find(peer.address(), hook)),
                Long.toHexString(word));
          }
        });
  }

  private static final class Hook extends FunctionPreHook {
    @Override
    public TensorVector apply(TensorVector gradients) {
      return gradients;
    }
  }
}
