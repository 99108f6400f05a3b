package io.github.actclip.io;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** The element types that safetensors and LibTorch share; the constants' names are safetensors'. */
enum Dtype {
  F64(ScalarType.Double, 8),
  F32(ScalarType.Float, 4),
  F16(ScalarType.Half, 2),
  BF16(ScalarType.BFloat16, 2),
  I64(ScalarType.Long, 8),
  I32(ScalarType.Int, 4),
  I16(ScalarType.Short, 2),
  I8(ScalarType.Char, 1),
  U8(ScalarType.Byte, 1),
  BOOL(ScalarType.Bool, 1);

  private final ScalarType scalarType;
  private final int bytes;

  Dtype(ScalarType scalarType, int bytes) {
    this.scalarType = scalarType;
    this.bytes = bytes;
  }

  /** Returns null for a type that the format lacks. */
  static Dtype of(ScalarType scalarType) {
    for (Dtype dtype : values()) {
      if (dtype.scalarType == scalarType.intern()) {
        return dtype;
      }
    }
    return null;
  }

  /** Returns null for a name that is none of ours. */
  static Dtype named(String name) {
    for (Dtype dtype : values()) {
      if (dtype.name().equals(name)) {
        return dtype;
      }
    }
    return null;
  }

  /** Returns null for a class that is none of ours, such as {@code torch.ComplexFloatStorage}. */
  static Dtype ofStorage(String pythonClass) {
    for (Dtype dtype : values()) {
      if (dtype.storage().equals(pythonClass)) {
        return dtype;
      }
    }
    return null;
  }

  /** The class of the memory of such tensors in Python, such as {@code torch.FloatStorage}. */
  String storage() {
    return "torch." + scalarType.name() + "Storage";
  }

  ScalarType scalarType() {
    return scalarType;
  }

  /** The size of one element. */
  int bytes() {
    return bytes;
  }
}
