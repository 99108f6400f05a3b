package io.github.actclip.autograd;

import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.Loggers;
import java.util.function.ToLongFunction;
import org.apache.logging.log4j.Logger;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.FunctionPreHook;

/**
 * The JNI reference by which the C++ peer of a Java object finds it. JavaCPP makes one for each
 * object of a class that C++ calls back, and never deletes it: some 10 bytes a node. Neither JNI
 * nor JavaCPP gives it out, so it is read from the peer, where this version of JavaCPP puts it;
 * whether it does is tried once. It stays where it does not, and without the native library.
 */
final class WeakReferenceOfPeer {

  private static final Logger LOG = Loggers.of(WeakReferenceOfPeer.class);

  private static final boolean CAN_DELETE =
      KernelLibrary.whyNotLoaded().isEmpty() && isFound(hook -> find(hook.address(), hook));

  private final long reference;

  private WeakReferenceOfPeer(long reference) {
    this.reference = reference;
  }

  /** Of an object that C++ calls back. */
  static WeakReferenceOfPeer of(Pointer object) {
    return new WeakReferenceOfPeer(CAN_DELETE ? find(object.address(), object) : 0);
  }

  /** Deletes it, after the last call from C++ to the object. */
  void delete() {
    if (reference != 0) {
      delete(reference);
    }
  }

  /** Tries it with an object that C++ never calls. */
  static boolean isFound(ToLongFunction<Pointer> find) {
    try (Probe probe = new Probe()) {
      long found = find.applyAsLong(probe);
      if (found == 0) {
        LOG.warn(
            "Each clip that is differentiated leaves about 10 bytes behind, because this version of"
                + " JavaCPP keeps its references elsewhere");
        return false;
      }
      delete(found);
      return true;
    }
  }

  /** 0 unless the peer has a weak global reference to the object where JavaCPP puts it. */
  static native long find(long peer, Object object);

  private static native void delete(long reference);

  private static final class Probe extends FunctionPreHook {}
}
