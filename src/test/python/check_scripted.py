"""The Python side of ScriptModuleTest: runs a network that Java has clipped and saved.

    python3 src/test/python/check_scripted.py FOLDER

FOLDER holds saved.pt and x.pt; it gets back.pt, with the network's output y and its state dict.
"""

import sys
from pathlib import Path

import torch

FOLDER = Path(sys.argv[1])
network = torch.jit.load(str(FOLDER / "saved.pt"))
assert not network.training
x = torch.load(FOLDER / "x.pt")["x"]
y = network(x)
y.sum().backward()
limits = [p for name, p in network.named_parameters() if name.endswith(".max")]
assert len(limits) == 30 and sum(p.grad is not None for p in limits) == 29
torch.save(dict(network.state_dict(), y=y.detach()), FOLDER / "back.pt")
network.train()
network(x)
