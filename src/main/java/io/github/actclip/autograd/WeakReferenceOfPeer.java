package io.github.actclip.autograd;

import io.github.actclip.runtime.KernelLibrary;
import org.bytedeco.javacpp.Pointer;

/**
 * The JNI reference by which the C++ peer of a Java object finds it. JavaCPP makes one for each
 * object of a class that C++ calls back, and never deletes it: some 10 bytes a node. Without the
 * native library it stays.
 */
final class WeakReferenceOfPeer {

  private static final boolean CAN_DELETE = KernelLibrary.whyNotLoaded().isEmpty();

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

  /** 0 unless the peer has a weak global reference to the object where JavaCPP puts it. */
  static native long find(long peer, Object object);

  private static native void delete(long reference);
}
