"""The Python side of PythonParityTest: loads the weights that Java wrote, and writes them back.

    python3 src/test/python/check_weights.py FOLDER

FOLDER holds net.pt, tensors.pt and, where Python has the library, tensors.safetensors, all of
Java's. It gets logits.pt (the logits of the Net in net.pt, and its images), back.pt (tensors.pt
again, as an OrderedDict) and back.safetensors. Python 1.13 to 2.13 were tried.
"""

import collections
import inspect
import json
import sys
import zipfile
from pathlib import Path

import torch

from make_net_fixture import Net

FOLDER = Path(sys.argv[1])


def load(name):
    """Also as an unpickler that runs no code reads it, where PyTorch has that (1.13 and newer)."""
    if "weights_only" in inspect.signature(torch.load).parameters:
        return torch.load(FOLDER / name, weights_only=True)
    return torch.load(FOLDER / name)


def check(tensors):
    """Bit by bit, what PythonParityTest wrote."""
    bits = {
        "f64": (torch.float64, torch.int64, [-(2**63), 0x7FF0000000000000, 0x3FF0000000000000]),
        "f32": (torch.float32, torch.int32, [-(2**31), 0x7F800000, 0x3F800000]),
        "f16": (torch.float16, torch.int16, [-(2**15), 0x7C00, 0x3C00]),
        "bf16": (torch.bfloat16, torch.int16, [-(2**15), 0x7F80, 0x3F80]),
        "i64": (torch.int64, torch.int64, [-(2**63), 2**63 - 1, -1]),
        "i32": (torch.int32, torch.int32, [-(2**31), 2**31 - 1, -1]),
        "i16": (torch.int16, torch.int16, [-(2**15), 2**15 - 1, -1]),
        "i8": (torch.int8, torch.int8, [-128, 127, -1]),
        "u8": (torch.uint8, torch.uint8, [0, 255, 128]),
        "bool": (torch.bool, torch.uint8, [1, 0, 1]),
    }
    assert list(tensors) == [*bits, "transposed", "scalar", "empty", "größe 🙂"], list(tensors)
    for name, (dtype, carrier, expected) in bits.items():
        assert tensors[name].dtype == dtype, name
        assert tensors[name].view(carrier).tolist() == expected, name
    assert torch.equal(tensors["transposed"], torch.arange(6.0).reshape(2, 3).t())
    assert torch.equal(tensors["scalar"], torch.tensor(3.25))
    assert torch.equal(tensors["empty"], torch.empty(2, 0, 3))
    assert torch.equal(tensors["größe 🙂"], torch.tensor([7.0]))
    assert not any(tensor.requires_grad for tensor in tensors.values())


def main():
    net = Net()
    net.load_state_dict(load("net.pt"))
    with zipfile.ZipFile(FOLDER / "net.pt") as archive:
        texts = json.loads(archive.read("archive/extra/actclip.json"))
    assert texts == {"actclip.meaning.act_max": "form=TIED, parameterization=RAW"}, texts
    images = torch.randn(4, 3, 32, 32)
    torch.save({"images": images, "logits": net(images).detach()}, FOLDER / "logits.pt")

    tensors = load("tensors.pt")
    check(tensors)
    torch.save(collections.OrderedDict(tensors), FOLDER / "back.pt")

    try:
        from safetensors.torch import load_file, save_file
    except ImportError:
        return
    tensors = load_file(FOLDER / "tensors.safetensors")
    check({name: tensors[name] for name in load("tensors.pt")})
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FOLDER / "back.safetensors")


if __name__ == "__main__":
    main()
