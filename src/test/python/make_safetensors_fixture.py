"""Writes src/test/resources/fixtures/every_dtype.safetensors with the format's own library.

    pip install --no-deps --target /tmp/safetensors safetensors==0.8.0
    PYTHONPATH=/tmp/safetensors python3 src/test/python/make_safetensors_fixture.py

The values are given as bits, so that neither Python nor a numeric library can change one on the way.
There is no randomness: the same bytes come out every time.
"""

import ctypes
import pathlib
import struct

from safetensors import TensorSpec, serialize_file

TARGET = pathlib.Path(__file__).parents[1] / "resources/fixtures/every_dtype.safetensors"

# name: dtype as the library calls it, struct code, shape, bits
TENSORS = {
    "f64": ("float64", "Q", [2, 2], [0x8000000000000000, 0x7FF0000000000000, 0x7FF8DEADBEEF0001, 0x3FF0000000000000]),
    "f32": ("float32", "I", [4], [0x80000000, 0xFF800000, 0x7FC0BEEF, 0x3F800000]),
    "f16": ("float16", "H", [3], [0x8000, 0x7C00, 0x7E01]),
    "bf16": ("bfloat16", "H", [3], [0x8000, 0x7F80, 0x7FC1]),
    "i64": ("int64", "q", [2], [-(2**63), 2**63 - 1]),
    "i32": ("int32", "i", [1, 2], [-(2**31), 2**31 - 1]),
    "i16": ("int16", "h", [2], [-(2**15), 2**15 - 1]),
    "i8": ("int8", "b", [3], [-128, 127, -1]),
    "u8": ("uint8", "B", [3], [0, 255, 128]),
    "bool": ("bool", "B", [3], [1, 0, 1]),
    "scalar": ("float32", "I", [], [0x40490FDB]),
    "empty": ("float32", "I", [3, 0, 2], []),
    "größe 🙂": ("uint8", "B", [1], [7]),
}


def main():
    buffers = {}
    specs = {}
    for name, (dtype, code, shape, bits) in TENSORS.items():
        data = struct.pack(f"<{len(bits)}{code}", *bits)
        buffers[name] = ctypes.create_string_buffer(data, max(len(data), 1))
        specs[name] = TensorSpec(
            dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[name]), data_len=len(data)
        )
    serialize_file(specs, str(TARGET), {"note": "größe 🙂"})


if __name__ == "__main__":
    main()
