package io.github.actclip.runtime;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * Keeps LibTorch away from virtual threads.
 *
 * <p>LibTorch keeps by native thread whether gradients are recorded, whether autocast is on, and
 * how many threads an operation has. The native thread of a virtual one changes whenever it waits,
 * and these settings stay behind, for whoever comes next. It waits in every place where two threads
 * make tensors at once, because JavaCPP takes a lock there; from JDK 24 on all tensors of a process
 * can come to a halt at that lock.
 */
final class VirtualThreads {

  private static final MethodHandle IS_VIRTUAL = isVirtual();

  private VirtualThreads() {}

  /** Throws when the current thread is virtual. */
  static void refuse() {
    if (isVirtual(Thread.currentThread())) {
      throw ActclipException.badInput(
          "LibTorch cannot be used on a virtual thread (%s), because it keeps its settings by native"
              + " thread: use a platform thread, such as one of Executors.newFixedThreadPool",
          Thread.currentThread());
    }
  }

  private static boolean isVirtual(Thread thread) {
    try {
      return (boolean) IS_VIRTUAL.invokeExact(thread);
    } catch (Throwable e) {
      throw new AssertionError(e); // It throws nothing.
    }
  }

  /** {@code Thread.isVirtual}, which JDK 21 brought. */
  private static MethodHandle isVirtual() {
    try {
      return MethodHandles.publicLookup()
          .findVirtual(Thread.class, "isVirtual", MethodType.methodType(boolean.class));
    } catch (NoSuchMethodException | IllegalAccessException e) {
      return MethodHandles.dropArguments(
          MethodHandles.constant(boolean.class, false), 0, Thread.class);
    }
  }
}
