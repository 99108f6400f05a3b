package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

@EnabledOnOs(OS.LINUX)
class LargeTensorsTest {

  private static final long LARGE = LargeTensors.MALLOC_KEEPS / Float.BYTES + 1;

  private TensorScope scope;

  @BeforeEach
  void open() {
    assumeTrue(KernelLibrary.keepsMemory(), KernelLibrary.whyNotLoaded());
    scope = new TensorScope();
    KernelLibrary.releaseFreedMemory();
  }

  @AfterEach
  void close() {
    scope.close();
    KernelLibrary.releaseFreedMemory();
  }

  private static Tensor untouched(long... shape) {
    return torch.empty(shape, new TensorOptions(ScalarType.Float), null);
  }

  private static long address(Tensor tensor) {
    return tensor.data_ptr().address();
  }

  @Test
  void isOfTheSameKindAndMayBeWrittenTo() {
    Tensor x = untouched(2, 3, 1500, 1000).contiguous(MemoryFormat.ChannelsLast);
    Tensor y = LargeTensors.like(x);
    assertArrayEquals(x.shape(), y.shape());
    assertTrue(y.is_contiguous(MemoryFormat.ChannelsLast));
    assertEquals(x.scalar_type().intern(), y.scalar_type().intern());
    assertFalse(y.requires_grad());
    assertEquals(2, y.storage().use_count(), "its memory is held");
    y.fill_(new Scalar(3));
    assertEquals(3 * y.numel(), y.sum().item_double());
    assertNotEquals(address(x), address(y));
  }

  @Test
  void memoryIsUsedAgainWhenTheLastTensorInItIsFreed() {
    Tensor x = untouched(LARGE);
    long first = address(LargeTensors.like(x));
    Tensor inUse = LargeTensors.like(x);
    assertNotEquals(first, address(inUse));
    Set<Long> seen = new HashSet<>(Set.of(first, address(inUse)));
    scope.close();
    scope = new TensorScope();
    Tensor view = LargeTensors.like(untouched(LARGE)).narrow(0, 5, 1);
    TensorScope.run(() -> assertTrue(seen.contains(address(LargeTensors.like(untouched(LARGE))))));
    assertTrue(seen.contains(address(view) - 5 * Float.BYTES));
    TensorScope.run(
        () ->
            assertNotEquals(
                address(view) - 5 * Float.BYTES, address(LargeTensors.like(untouched(LARGE)))));
  }

  @Test
  void aViewKeepsItsMemory() {
    Tensor view = view();
    for (int i = 0; i < 3; i++) {
      TensorScope.run(() -> LargeTensors.like(untouched(LARGE)).fill_(new Scalar(-1)));
      KernelLibrary.releaseFreedMemory();
    }
    assertEquals(7, view.item_double());
  }

  private static Tensor view() {
    try (TensorScope inner = new TensorScope()) {
      Tensor tensor = LargeTensors.like(untouched(LARGE)).fill_(new Scalar(7));
      return inner.pass(tensor.narrow(0, LARGE - 1, 1));
    }
  }

  @Test
  void whatIsSmallOrHasGapsIsMallocs() {
    assertFalse(LargeTensors.like(untouched(LARGE - 1)).defined());
    assertFalse(LargeTensors.like(untouched(1).expand(LARGE)).defined());
    assertFalse(LargeTensors.like(untouched(LARGE, 2).select(1, 0)).defined());
  }

  @Test
  void keepsAtMostOneGibibyteAndGivesItBack() {
    long before = Pointer.physicalBytes();
    IntStream.rangeClosed(1, 4)
        .forEach(
            i ->
                TensorScope.run(
                    () -> LargeTensors.like(untouched(4 * i * LARGE)).fill_(new Scalar(i))));
    long kept = Pointer.physicalBytes() - before;
    assertTrue(kept > 512L << 20 && kept < 1100L << 20, kept + " bytes are kept");
    KernelLibrary.releaseFreedMemory();
    long left = Pointer.physicalBytes() - before;
    assertTrue(left < 64L << 20, left + " bytes are left");
  }

  @Test
  void manyThreadsNeverShare() {
    IntStream.range(0, 64)
        .parallel()
        .forEach(
            i ->
                TensorScope.run(
                    () -> {
                      Tensor mine = LargeTensors.like(untouched(LARGE)).fill_(new Scalar(i));
                      assertEquals((double) i, mine.min().item_double());
                      assertEquals((double) i, mine.max().item_double());
                    }));
  }
}
