package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import net.razorvine.pickle.Opcodes;

/**
 * Writes the pickle that describes contiguous tensors, the n-th of them in storage n, with the
 * instructions that Python's {@code torch.load} and its {@code weights_only} know. The library's
 * {@code Pickler} has no instruction for a storage, and one registry of classes for the whole JVM.
 */
final class StateDictPickler {

  private static final byte PROTOCOL = 2;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  byte[] toBytes(List<TensorInfo> tensors) {
    op(Opcodes.PROTO);
    out.write(PROTOCOL);
    op(Opcodes.EMPTY_DICT);
    for (int i = 0; i < tensors.size(); i++) {
      text(tensors.get(i).name());
      tensor(tensors.get(i), String.valueOf(i));
      op(Opcodes.SETITEM);
    }
    op(Opcodes.STOP);
    return out.toByteArray();
  }

  /**
   * A call of {@code _rebuild_tensor_v2(storage, offset, shape, strides, requires grad, hooks)}.
   */
  private void tensor(TensorInfo tensor, String key) {
    global("torch._utils", "_rebuild_tensor_v2");
    op(Opcodes.MARK);
    storage(tensor, key);
    integer(0);
    tuple(tensor.shape());
    tuple(contiguousStrides(tensor.shape()));
    op(Opcodes.NEWFALSE);
    global("collections", "OrderedDict");
    op(Opcodes.EMPTY_TUPLE);
    op(Opcodes.REDUCE);
    op(Opcodes.TUPLE);
    op(Opcodes.REDUCE);
  }

  private void storage(TensorInfo tensor, String key) {
    op(Opcodes.MARK);
    text("storage");
    global("torch", tensor.dtype().storage().substring("torch.".length()));
    text(key);
    text("cpu");
    integer(tensor.byteCount() / tensor.dtype().bytes());
    op(Opcodes.TUPLE);
    op(Opcodes.BINPERSID);
  }

  private static long[] contiguousStrides(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= Math.max(shape[i], 1);
    }
    return strides;
  }

  private void op(short opcode) {
    out.write(opcode);
  }

  private void global(String module, String name) {
    op(Opcodes.GLOBAL);
    out.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
  }

  private void tuple(long[] values) {
    op(Opcodes.MARK);
    for (long value : values) {
      integer(value);
    }
    op(Opcodes.TUPLE);
  }

  private void integer(long value) {
    op(Opcodes.LONG1);
    out.write(Long.BYTES);
    out.writeBytes(littleEndian(Long.BYTES).putLong(value).array());
  }

  private void text(String text) {
    ByteBuffer utf8;
    try {
      utf8 = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
    } catch (CharacterCodingException e) {
      throw ActclipException.badInput(
          "The tensor name %s has half of a surrogate pair; it must be valid Unicode",
          TensorInfo.quoted(text));
    }
    op(Opcodes.BINUNICODE);
    out.writeBytes(littleEndian(Integer.BYTES).putInt(utf8.remaining()).array());
    out.write(utf8.array(), 0, utf8.remaining());
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
