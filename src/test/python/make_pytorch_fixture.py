"""Writes src/test/resources/fixtures/pytorch/*: files of torch.save, right ones and refused ones.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_pytorch_fixture.py

What is in the right ones is in expected.json beside them, bit by bit. Everything is seeded;
only legacy.pt, which holds memory addresses, differs each time.
"""

import collections
import json
import os
import zipfile
from pathlib import Path

import torch
from torch import nn

from make_net_fixture import Net, start, summary

OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "pytorch"
EXPECTED = {}

DTYPES = {
    "F64": (torch.float64, [-0.0, float("inf"), 1 / 3]),
    "F32": (torch.float32, [-0.0, float("-inf"), 1.5]),
    "F16": (torch.float16, [-0.0, 65504.0, 1.5]),
    "BF16": (torch.bfloat16, [-0.0, 2.0**127, 1.5]),
    "I64": (torch.int64, [-(2**63), 2**53, -1]),
    "I32": (torch.int32, [-(2**31), 2**31 - 1, -1]),
    "I16": (torch.int16, [-(2**15), 2**15 - 1, -1]),
    "I8": (torch.int8, [-128, 127, -1]),
    "U8": (torch.uint8, [0, 255, 128]),
    "BOOL": (torch.bool, [True, False, True]),
}


def save(name, value, **options):
    torch.save(value, OUT / name, **options)


def save_expected(name, tensors, **options):
    """Saves tensors, and beside the file what is in them."""
    save(name, tensors, **options)
    EXPECTED[name] = {
        key: {
            "dtype": next(name for name, (dtype, _) in DTYPES.items() if dtype == tensor.dtype),
            "shape": list(tensor.shape),
            "strides": list(tensor.stride()),
            "hex": bytes(tensor.detach().flatten().view(torch.uint8).tolist()).hex(),
        }
        for key, tensor in tensors.items()
    }


def module():
    torch.manual_seed(3)
    net = nn.Sequential(collections.OrderedDict(linear=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    net(torch.randn(5, 3))
    return net


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return {
        "base": base,
        "transposed": base.transpose(0, 2),
        "sliced": base[:, 1:, ::2],
        "element": base[1, 2, 3],
        "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 1000)[:, :3],
        "channels_last": torch.arange(16.0).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.25),
        "empty": torch.empty(2, 0, 3),
        "größe 🙂": torch.tensor([7], dtype=torch.uint8),
    }


class RunsCode:
    def __reduce__(self):
        return (os.system, ("touch /tmp/actclip-ran-code",))


def repack(source, target, change):
    """Copies an archive, with its entries' bytes and compression changed."""
    with zipfile.ZipFile(OUT / source) as old, zipfile.ZipFile(OUT / target, "w") as new:
        for entry in old.infolist():
            change(new, zipfile.ZipInfo(entry.filename), old.read(entry))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    net = module()
    save_expected("state_dict.pt", net.state_dict())
    save_expected("dict.pt", dict(net.state_dict()))
    save_expected("parameters.pt", dict(net.named_parameters()))
    save_expected("dtypes.pt", {k: torch.tensor(v, dtype=t) for k, (t, v) in DTYPES.items()})
    save_expected("views.pt", views())
    save_expected("nothing.pt", {})
    (OUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1, ensure_ascii=False) + "\n")

    # Net in half precision, to be small; Python's logits are those of the same rounded weights.
    net, images, _ = start()
    save("net.pt", collections.OrderedDict((k, v.half()) for k, v in net.state_dict().items()))
    net.load_state_dict(torch.load(OUT / "net.pt"))
    (OUT / "net_logits.json").write_text(json.dumps({"logits": summary(net(images))}) + "\n")

    state = module().state_dict()
    save("legacy.pt", state, _use_new_zipfile_serialization=False)
    save("runs_code.pt", {"weight": torch.ones(1), "more": RunsCode()})
    save("module.pt", nn.Linear(2, 1))
    save("checkpoint.pt", {"state_dict": state, "epoch": 3})
    save("numbers.pt", {"weight": 3})
    save("list.pt", [torch.ones(1)])
    save("complex.pt", {"weight": torch.ones(1, dtype=torch.complex64)})
    save("sparse.pt", {"weight": torch.eye(2).to_sparse()})
    save("quantized.pt", {"weight": torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8)})
    save("protocol4.pt", state, pickle_protocol=4)
    torch.jit.script(nn.Linear(2, 1)).save(str(OUT / "script.pt"))

    def big_endian(archive, entry, data):
        archive.writestr(entry, data)
        if entry.filename.endswith("/version"):
            name = entry.filename.replace("version", "byteorder")
            archive.writestr(zipfile.ZipInfo(name), "big")

    def compressed(archive, entry, data):
        archive.writestr(entry, data, zipfile.ZIP_DEFLATED)

    repack("dict.pt", "big_endian.pt", big_endian)
    repack("dict.pt", "compressed.pt", compressed)


if __name__ == "__main__":
    main()
