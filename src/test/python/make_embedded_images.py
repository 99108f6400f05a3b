#!/usr/bin/python3
"""Makes the embedded images: a class-balanced random subset of Fashion-MNIST.

    apt-get install dataset-fashion-mnist
    python3 src/test/python/make_embedded_images.py

writes 800 training and 200 test images a class, as IDX files compressed by gzip, and prints what
ImageDatasetTest pins: the SHA-256 of the uncompressed pixels and labels.
"""

import gzip
import hashlib
import pathlib
import random
import struct

SEED = 20170825
CLASSES = 10
IMAGE_BYTES = 28 * 28
SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
TARGET = (
    pathlib.Path(__file__).resolve().parents[2]
    / "main/resources/io/github/actclip/data/fashion-mnist"
)


def shuffled(items, rng):
    """The only order that Python promises to be the same in every version: by rng.random()."""
    return [item for _, item in sorted((rng.random(), item) for item in items)]


def read(name, header_bytes):
    return gzip.decompress((SOURCE / name).read_bytes())[header_bytes:]


def write(name, dimensions, content):
    header = struct.pack(f">{1 + len(dimensions)}I", 0x0800 | len(dimensions), *dimensions)
    with open(TARGET / name, "wb") as file:
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as compressed:
            compressed.write(header + content)


def choose(labels, per_class, rng):
    chosen = []
    for label in range(CLASSES):
        members = [i for i, other in enumerate(labels) if other == label]
        chosen += shuffled(members, rng)[:per_class]
    return shuffled(chosen, rng)


def make(prefix, per_class, rng):
    images_name = f"{prefix}-images-idx3-ubyte.gz"
    labels_name = f"{prefix}-labels-idx1-ubyte.gz"
    images = read(images_name, 16)
    labels = read(labels_name, 8)
    chosen = choose(labels, per_class, rng)
    pixels = b"".join(images[i * IMAGE_BYTES : (i + 1) * IMAGE_BYTES] for i in chosen)
    write(images_name, (len(chosen), 28, 28), pixels)
    chosen_labels = bytes(labels[i] for i in chosen)
    write(labels_name, (len(chosen),), chosen_labels)
    print(prefix, hashlib.sha256(pixels + chosen_labels).hexdigest())


if __name__ == "__main__":
    generator = random.Random(SEED)
    make("train", 800, generator)
    make("t10k", 200, generator)
