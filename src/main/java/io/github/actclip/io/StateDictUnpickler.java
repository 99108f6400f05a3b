package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.razorvine.pickle.IObjectConstructor;
import net.razorvine.pickle.Opcodes;
import net.razorvine.pickle.PickleException;
import net.razorvine.pickle.PickleUtils;
import net.razorvine.pickle.Unpickler;

/**
 * Reads the pickle of a state dict, and nothing else: a pickle is a program that may call any
 * function of Python's, so the instructions and the functions are those that tensors need (the list
 * is shorter than that of {@code torch.load(weights_only=True)}). Whatever else the pickle names is
 * refused by its name.
 *
 * <p>What it holds in memory is a small multiple of the pickle's size.
 */
final class StateDictUnpickler extends Unpickler {

  private final Path file;
  private final Map<String, IObjectConstructor> functions =
      Map.of(
          "collections.OrderedDict", this::orderedDict,
          "torch._utils._rebuild_tensor", this::tensor,
          "torch._utils._rebuild_tensor_v2", this::tensor,
          "torch._utils._rebuild_parameter", args -> args[0]);

  private StateDictUnpickler(Path file) {
    this.file = file;
  }

  /**
   * Reads a pickle.
   *
   * @param file names the file in messages
   * @return tensors by name, in the order of the pickle, each inside of its storage
   * @throws ActclipException bad input, for anything but a dict of tensors
   */
  static Map<String, PickledTensor> read(Path file, byte[] pickle) {
    StateDictUnpickler unpickler = new StateDictUnpickler(file);
    try {
      return unpickler.stateDict(unpickler.load(new ByteArrayInputStream(pickle)));
    } catch (ActclipException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      // The base class checks nothing: an instruction that finds no value, or one of another type.
      throw unpickler.invalid("its pickle is damaged");
    }
  }

  /** Does one instruction; those that look at names, types or lengths are done here. */
  @Override
  protected Object dispatch(short opcode) throws IOException {
    switch (opcode) {
      case Opcodes.GLOBAL ->
          stack.add(global(PickleUtils.readline(input) + "." + PickleUtils.readline(input)));
      case Opcodes.BINUNICODE -> stack.add(text());
      case Opcodes.EMPTY_DICT -> stack.add(new LinkedHashMap<>());
      case Opcodes.SETITEM -> {
        Object value = stack.pop();
        setItems(Arrays.asList(stack.pop(), value));
      }
      case Opcodes.SETITEMS -> setItems(stack.pop_all_since_marker());
      case Opcodes.APPENDS -> appendAll(stack.pop_all_since_marker());
      case Opcodes.BUILD -> ignoreState();
      case Opcodes.PROTO,
          Opcodes.STOP,
          Opcodes.MARK,
          Opcodes.REDUCE,
          Opcodes.BINPERSID,
          Opcodes.BINGET,
          Opcodes.LONG_BINGET,
          Opcodes.BINPUT,
          Opcodes.LONG_BINPUT,
          Opcodes.NONE,
          Opcodes.NEWTRUE,
          Opcodes.NEWFALSE,
          Opcodes.BININT,
          Opcodes.BININT1,
          Opcodes.BININT2,
          Opcodes.LONG1,
          Opcodes.BINFLOAT,
          Opcodes.TUPLE,
          Opcodes.EMPTY_TUPLE,
          Opcodes.TUPLE1,
          Opcodes.TUPLE2,
          Opcodes.TUPLE3,
          Opcodes.EMPTY_LIST,
          Opcodes.APPEND -> {
        return super.dispatch(opcode);
      }
      default ->
          throw invalid(
              "its pickle has the instruction %d, which torch.save does not use with its default"
                  + " protocol",
              opcode);
    }
    return NO_RETURN_VALUE;
  }

  private Object global(String name) {
    IObjectConstructor function = functions.get(name);
    if (function != null) {
      return function;
    }
    Dtype dtype = Dtype.ofStorage(name);
    if (dtype != null) {
      return dtype;
    }
    if (name.startsWith("torch.") && name.endsWith("Storage")) {
      throw ActclipException.badInput(
          "%s holds a %s; its tensors must have one of the dtypes %s",
          file, TensorInfo.quoted(name), Arrays.toString(Dtype.values()));
    }
    throw ActclipException.badInput(
        "%s holds %s, which is code or no plain tensor; only tensors are read, so save a"
            + " module's state_dict()",
        file, TensorInfo.quoted(name));
  }

  /** The base class would reserve memory for whatever length the file says. */
  private String text() throws IOException {
    int length = PickleUtils.bytes_to_integer(PickleUtils.readbytes(input, Integer.BYTES));
    if (length < 0 || length > input.available()) {
      throw new PickleException("text longer than the pickle");
    }
    return new String(PickleUtils.readbytes(input, length), StandardCharsets.UTF_8);
  }

  /** The base class forgets the order, and takes as key what has a hash code that never ends. */
  private void setItems(List<Object> keysAndValues) {
    @SuppressWarnings("unchecked")
    Map<Object, Object> dict = (Map<Object, Object>) stack.peek();
    for (int i = 0; i < keysAndValues.size(); i += 2) {
      Object key = keysAndValues.get(i);
      if (!(key instanceof String || key instanceof Number)) {
        throw invalid("a dict in it has a key that is %s, not a text or number", typeOf(key));
      }
      if (dict.containsKey(key)) {
        throw invalid("it has the key %s twice", TensorInfo.quoted(key.toString()));
      }
      dict.put(key, keysAndValues.get(i + 1));
    }
  }

  /** The base class copies the list each time. */
  private void appendAll(List<Object> values) {
    @SuppressWarnings("unchecked")
    List<Object> list = (List<Object>) stack.peek();
    list.addAll(values);
  }

  /** What a state dict has beside its tensors: the versions of its modules. */
  private void ignoreState() {
    stack.pop();
    if (!(stack.peek() instanceof Map)) {
      throw invalid("it sets the attributes of %s", typeOf(stack.peek()));
    }
  }

  private Object orderedDict(Object[] args) {
    if (args.length != 0) {
      throw invalid("an OrderedDict in it is made of %d values", args.length);
    }
    return new LinkedHashMap<>();
  }

  /** What stands for a storage: ("storage", class, key, device, number of elements). */
  @Override
  protected Object persistentLoad(Object id) {
    Object[] parts = (Object[]) id;
    if (parts.length != 5 || !parts[0].equals("storage")) {
      throw invalid("a storage in it is described otherwise than PyTorch does");
    }
    var storage = new PickledTensor.Storage((String) parts[2], (Dtype) parts[1], integer(parts[4]));
    try {
      storage.bytes();
    } catch (ArithmeticException e) {
      throw invalid(
          "storage %s has %d elements, which no memory holds",
          TensorInfo.quoted(storage.key()), storage.elements());
    }
    return storage;
  }

  /** A tensor of (storage, offset, shape, strides, requires grad, hooks, metadata). */
  private Object tensor(Object[] args) {
    var storage = (PickledTensor.Storage) args[0];
    var tensor = new PickledTensor(storage, integer(args[1]), integers(args[2]), integers(args[3]));
    if (args.length > 6 && !((Map<?, ?>) args[6]).isEmpty()) {
      throw invalid("it holds a tensor that is yet to be negated; save its resolve_neg()");
    }
    long[] shape = tensor.shape();
    if (shape.length > TensorInfo.MAX_DIMENSIONS || shape.length != tensor.strides().length) {
      throw invalid(
          "it holds a tensor of %d dimensions with %d strides; at most %d are possible",
          shape.length, tensor.strides().length, TensorInfo.MAX_DIMENSIONS);
    }
    try {
      TensorInfo.byteCount(storage.dtype(), shape);
      if (tensor.isInsideStorage()) {
        return tensor;
      }
    } catch (ArithmeticException e) {
      // Then it is outside of any storage.
    }
    throw invalid(
        "it holds a tensor of shape %s, strides %s and offset %d in a storage of %d elements",
        Arrays.toString(shape),
        Arrays.toString(tensor.strides()),
        tensor.offset(),
        storage.elements());
  }

  private long[] integers(Object tuple) {
    return Arrays.stream((Object[]) tuple).mapToLong(this::integer).toArray();
  }

  private long integer(Object value) {
    if (!(value instanceof Integer || value instanceof Long) || ((Number) value).longValue() < 0) {
      throw invalid("it has %s where an integer of 0 or more should be", describe(value));
    }
    return ((Number) value).longValue();
  }

  private Map<String, PickledTensor> stateDict(Object value) {
    if (!(value instanceof Map<?, ?> dict)) {
      throw notOnlyTensors("it holds " + typeOf(value));
    }
    Map<String, PickledTensor> tensors = new LinkedHashMap<>();
    dict.forEach(
        (key, entry) -> {
          if (!(key instanceof String name)) {
            throw notOnlyTensors("the key " + key + " is a number");
          }
          if (!(entry instanceof PickledTensor tensor)) {
            throw notOnlyTensors(TensorInfo.quoted(name) + " is " + typeOf(entry));
          }
          tensors.put(name, tensor);
        });
    return tensors;
  }

  private ActclipException notOnlyTensors(String what) {
    return ActclipException.badInput(
        "%s must be a dict of tensors, and %s; save the state dict alone:"
            + " torch.save(net.state_dict(), file)",
        file, what);
  }

  private static String describe(Object value) {
    return value instanceof Number ? value.toString() : typeOf(value);
  }

  private static String typeOf(Object value) {
    if (value instanceof Map) {
      return "a dict";
    }
    if (value instanceof List) {
      return "a list";
    }
    if (value instanceof Object[]) {
      return "a tuple";
    }
    if (value instanceof String) {
      return "a text";
    }
    if (value instanceof Number || value instanceof Boolean) {
      return "a number";
    }
    if (value instanceof PickledTensor) {
      return "a tensor";
    }
    return value == null ? "None" : "something else";
  }

  private ActclipException invalid(String message, Object... args) {
    return PyTorchFile.invalid(file, message, args);
  }
}
