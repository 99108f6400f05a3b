"""Writes src/test/resources/fixtures/data.json: what Python makes of images on their way to a batch.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_data_fixture.py

Of each image that was cropped, flipped and normalised it keeps the CRC-32 of its float32 values (rows x
columns x channels, little-endian), because Java must have the same bits.
"""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "test" / "resources" / "fixtures" / "data.json"
EMBEDDED = ROOT / "main/resources/io/github/actclip/data/fashion-mnist/train-images-idx3-ubyte.gz"
SIDE = 32
MEAN = [0.4914, 0.4822, 0.4465]
STD = [0.2470, 0.2435, 0.2616]
# (padding, down, right, flipped): what a crop may draw, its corners among them.
CASES = [
    (0, 0, 0, False),
    (0, 0, 0, True),
    (4, 4, 4, False),
    (4, -4, -4, True),
    (4, 0, 3, True),
    (4, -2, 0, False),
    (31, 31, -31, False),
]


def image():
    """A colour image whose pixels are all over the place, as CIFAR-10 has it: three planes of bytes."""
    i = np.arange(3 * SIDE * SIDE, dtype=np.int64)
    return torch.from_numpy((((i * i) // 7 + 31 * i) % 256).astype(np.uint8)).view(3, SIDE, SIDE)


def changed(padding, down, right, flipped, normalized):
    x = image().float() / 255
    x = F.pad(x, (padding,) * 4)
    top, left = padding + down, padding + right
    x = x[:, top : top + SIDE, left : left + SIDE]
    if flipped:
        x = x.flip(-1)
    if normalized:
        x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return x.permute(1, 2, 0).contiguous().numpy()


def crc(values):
    return zlib.crc32(values.astype("<f4").tobytes())


def embedded_statistics():
    raw = np.frombuffer(gzip.open(EMBEDDED).read(), np.uint8, offset=16).reshape(-1, 28, 28)
    padded = np.pad(raw, ((0, 0), (2, 2), (2, 2))).astype(np.float64) / 255
    return {"mean": padded.mean(), "std": padded.std()}


def main():
    fixture = {
        "made_with": "torch " + torch.__version__,
        "mean": MEAN,
        "std": STD,
        "changed": [
            {
                "down": down,
                "right": right,
                "flipped": flipped,
                "crc": crc(changed(padding, down, right, flipped, False)),
                "normalized_crc": crc(changed(padding, down, right, flipped, True)),
            }
            for padding, down, right, flipped in CASES
        ],
        "embedded": embedded_statistics(),
    }
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
