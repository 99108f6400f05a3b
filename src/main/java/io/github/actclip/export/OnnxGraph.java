package io.github.actclip.export;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.runtime.ActclipException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.LongStream;

/** A graph of ONNX that is being written: values are known by their names. */
final class OnnxGraph {

  static final String INPUT = "input";
  static final String OUTPUT = "output";

  private static final String PRODUCER = "actclip";
  private static final String BATCH = "N";
  private static final long MAX_BYTES = Integer.MAX_VALUE;

  private final GraphProto.Builder graph = GraphProto.newBuilder().setName(PRODUCER);
  private final Set<String> names = new HashSet<>(Set.of(INPUT, OUTPUT));
  private long bytes;

  /** The name that is wanted, or where it is taken, one with a number after it. */
  private String unused(String wanted) {
    String name = wanted;
    for (int i = 2; !names.add(name); i++) {
      name = wanted + "_" + i;
    }
    return name;
  }

  /** Adds an operation; gives the name of what it computes. */
  String node(String operation, List<String> inputs, AttributeProto... attributes) {
    String output = unused(operation);
    graph.addNode(
        NodeProto.newBuilder()
            .setName(output)
            .setOpType(operation)
            .addAllInput(inputs)
            .addOutput(output)
            .addAllAttribute(List.of(attributes)));
    return output;
  }

  static AttributeProto number(String name, long value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INT)
        .setI(value)
        .build();
  }

  static AttributeProto number(String name, float value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.FLOAT)
        .setF(value)
        .build();
  }

  static AttributeProto numbers(String name, long... values) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INTS)
        .addAllInts(LongStream.of(values).boxed().toList())
        .build();
  }

  /** Adds a constant; without a shape it is one number. */
  String floats(String name, float[] values, long... shape) {
    ByteBuffer raw = buffer(name, (long) values.length * Float.BYTES);
    raw.asFloatBuffer().put(values);
    return tensor(name, DataType.FLOAT, raw, shape);
  }

  /** Likewise, of float64, which is rounded. */
  String floats(String name, double[] values, long... shape) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = (float) values[i];
    }
    return floats(name, rounded, shape);
  }

  String scalar(String name, double value) {
    return floats(name, new float[] {(float) value});
  }

  /** Likewise, of whole numbers of 32 bits. */
  String ints(String name, int[] values, long... shape) {
    ByteBuffer raw = buffer(name, (long) values.length * Integer.BYTES);
    raw.asIntBuffer().put(values);
    return tensor(name, DataType.INT32, raw, shape);
  }

  /** Likewise, of 8 bits, with a sign or without. */
  String bytes(String name, boolean signed, byte[] values, long... shape) {
    ByteBuffer raw = buffer(name, values.length).put(values).rewind();
    return tensor(name, signed ? DataType.INT8 : DataType.UINT8, raw, shape);
  }

  private ByteBuffer buffer(String name, long size) {
    bytes += size;
    if (bytes > MAX_BYTES) {
      throw ActclipException.badInput(
          "the weights up to %s are %d bytes, and a file of ONNX holds less than 2 GB",
          name, bytes);
    }
    return ByteBuffer.allocate((int) size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private String tensor(String wanted, DataType type, ByteBuffer raw, long... shape) {
    String name = unused(wanted);
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName(name)
            .setDataType(type.getNumber())
            .addAllDims(LongStream.of(shape).boxed().toList())
            .setRawData(ByteString.copyFrom(raw.array())));
    return name;
  }

  /**
   * Writes the file.
   *
   * @param output what the model gives, of rank {@code rank}
   */
  void write(Path file, OnnxOptions options, String output, int rank) {
    nameOutput(output);
    DataType type = options.bytes() ? DataType.UINT8 : DataType.FLOAT;
    graph.addInput(value(INPUT, type, options.batch(0)));
    graph.addOutput(value(OUTPUT, DataType.FLOAT, new long[rank]));
    ModelProto.Builder model =
        ModelProto.newBuilder()
            .setIrVersion(irVersion(options.opset()))
            .setProducerName(PRODUCER)
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(options.opset()))
            .setGraph(graph);
    options
        .notes()
        .forEach(
            (name, text) ->
                model.addMetadataProps(
                    StringStringEntryProto.newBuilder().setKey(name).setValue(text)));
    AtomicFile.write(file, model.build()::writeTo);
  }

  /** Nothing but the end of the graph reads it. */
  private void nameOutput(String output) {
    String last = output.equals(INPUT) ? node("Identity", List.of(INPUT)) : output;
    for (NodeProto.Builder node : graph.getNodeBuilderList()) {
      if (node.getOutput(0).equals(last)) {
        node.setOutput(0, OUTPUT);
      }
    }
  }

  /** The oldest that has the opset. */
  private static int irVersion(int opset) {
    return opset >= 21 ? 10 : opset >= 19 ? 9 : 8;
  }

  /** Of a shape in which 0 is any size, and the first is the number of samples. */
  private static ValueInfoProto value(String name, DataType type, long[] shape) {
    TensorShapeProto.Builder dimensions = TensorShapeProto.newBuilder();
    for (int i = 0; i < shape.length; i++) {
      TensorShapeProto.Dimension.Builder dimension = dimensions.addDimBuilder();
      if (i == 0) {
        dimension.setDimParam(BATCH);
      } else if (shape[i] > 0) {
        dimension.setDimValue(shape[i]);
      }
    }
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(
            TypeProto.newBuilder()
                .setTensorType(
                    TypeProto.Tensor.newBuilder()
                        .setElemType(type.getNumber())
                        .setShape(dimensions)))
        .build();
  }
}
