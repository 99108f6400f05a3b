"""Writes src/test/resources/fixtures/scripted: networks as torch.jit.script saves them, and what PyTorch makes of them.

Run from the project's root with Debian's python3-torch (1.13) and python3-torchvision (0.14):

    /usr/bin/python3 src/test/python/make_scripted_fixture.py

network.pt has every kind of rectifier in every place. expected.json holds the output, the gradients and the running
statistics of one training pass in float64 with a clip at LIMIT behind each of them: of the same modules, not scripted,
whose rectifiers are intercepted as they are called. The other files are for what is refused, and for small things.
"""

import json
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SEED = 23
LIMIT = 0.625  # exact in float32, too
SAMPLES = 5
OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "scripted"


def twice(x):
    """A function of a user's own: it has no attributes, so that its clip must be the caller's."""
    return 2.0 * torch.relu(x)


class Block(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.relu = nn.ReLU(inplace=True)  # one module, called twice
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Variants(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = nn.Conv2d(c, c, 1)
        self.r6 = nn.ReLU6()
        self.r6i = nn.ReLU6(inplace=True)
        self.ht = nn.Hardtanh(0.0, 4.0)
        self.lk = nn.LeakyReLU(0.1)
        self.seq = nn.Sequential(nn.Conv2d(c, c, 1), nn.ReLU(), nn.Conv2d(c, c, 1), nn.ReLU(inplace=True))
        self.acts = nn.ModuleList([nn.ReLU() for _ in range(2)])
        self.clip0 = 1.0  # a name that is taken

    def mix(self, x):
        return self.clip0 * self.c(x) + x

    def operations(self, x):
        x = torch.relu(self.mix(x))
        x = torch.relu_(self.mix(x))
        x = self.mix(x).relu()
        x = self.mix(x).relu_()
        x = self.mix(x).clamp(min=0.0)
        x = self.mix(x).clamp_(min=0.0, max=3.0)
        return torch.clamp_min(self.mix(x), 0.0)

    def forward(self, x, k: int = 2):
        x = F.relu(self.mix(x))
        x = F.relu(self.mix(x), inplace=True)
        x = self.operations(x)
        x = self.r6(self.mix(x))
        x = self.r6i(self.mix(x))
        x = F.relu6(self.mix(x))
        x = self.ht(self.mix(x))
        x = F.hardtanh(self.mix(x), 0.0, 5.0)
        x = self.lk(self.mix(x)).clamp(-9.0, 9.0)  # no rectifiers
        x = self.seq(x)
        for act in self.acts:
            x = act(self.mix(x))
        for i in range(k):
            x = F.relu(self.mix(x))
        if x.size(0) > 1:
            x = F.relu(self.mix(x))
        else:
            x = F.relu(x - 1.0)
        return x


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Block(4, 4), Block(4, 4), Block(4, 6, 2))
        self.v = Variants(6)
        self.fc = nn.Linear(6, 5)

    def head(self, x):
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(twice(3.0 * x) + twice(x - 0.5), 1), 1))

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.head(self.v(self.layer1(x)))


# The clip of each rectifier in the order in which forward comes to it; that in the loop twice.
ORDER = (
    ["clip0"]
    + ["layer1.%d.clip%d" % (block, i) for block in range(3) for i in range(2)]
    + ["v.clip1", "v.clip2"]
    + ["v.clip%d" % i for i in range(13, 20)]
    + ["v.clip%d" % i for i in range(3, 8)]
    + ["v.seq.clip0", "v.seq.clip1", "v.clip8", "v.clip9", "v.clip10", "v.clip10", "v.clip11"]
    + ["clip1", "clip2"]
)
RECTIFIERS = {"relu", "relu_", "relu6", "hardtanh", "clamp", "clamp_", "clamp_min"}


class Clipping(TorchFunctionMode):
    """Puts a clip behind each rectifier that is called; not behind those that this calls itself."""

    def __init__(self):
        super().__init__()
        self.limits = {name: nn.Parameter(torch.full((1,), LIMIT, dtype=torch.float64)) for name in ORDER}
        self.order = iter(ORDER)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        y = func(*args, **kwargs)
        if func.__name__ not in RECTIFIERS or args[1:2] == (-9.0,):
            return y
        limit = self.limits[next(self.order)]
        return torch.where(y > limit, limit, y)


class Small(nn.Module):
    """Trained in a test; half of what it learns from is chance."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.bn = nn.BatchNorm2d(6)
        self.act = nn.ReLU6(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.drop(self.act(self.bn(self.conv(x)))).mean([2, 3])
        return self.fc(F.relu(x))


class Only(nn.Module):
    """One activation, and nothing else."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def forward(self, x):
        return self.activation(x)


class InPlace(nn.Module):
    """Reads what it has rectified by the name of before."""

    def forward(self, x):
        y = x * 2.0
        F.relu(y, inplace=True)
        return y + torch.relu(y - 1.0)


class Branch(nn.Module):
    """Reads behind an if what was rectified in place in it."""

    def forward(self, x, rectifies: bool = True):
        y = x * 2.0
        if rectifies:
            F.relu(y, inplace=True)
        return y


class Indices(nn.Module):
    """Clamps what is no activation."""

    def forward(self, x):
        return F.relu(x)[torch.arange(9).clamp(0, 5)]


class Listed(nn.Module):
    """Has a tensor in a list, a tuple or a dict, which is neither parameter nor buffer."""

    def __init__(self, what):
        super().__init__()
        self.all = what

    def forward(self, x):
        return F.relu(x) + len(self.all)


class Counter(nn.Module):
    """Puts a new tensor in the place of its buffer, as batch normalisation did before PyTorch 1.12."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.count = self.count + 1.0
        return F.relu(x)


class Shared(nn.Module):
    """One module by two names, and one class in two modules."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.b = self.a
        self.c = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def forward(self, x):
        return self.c(self.b(self.a(x)))


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return F.relu(x + y)


class TwoOutputs(nn.Module):
    def forward(self, x):
        return F.relu(x), x


class Boxes(nn.Module):
    def forward(self, x):
        return F.relu(x)[torchvision.ops.nms(x, x[:, 0], 0.5)]


@torch.jit.interface
class Activation(nn.Module):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        pass


class Chosen(nn.Module):
    def __init__(self):
        super().__init__()
        self.all = nn.ModuleList([nn.ReLU(), nn.ReLU6()])

    def forward(self, x, which: int = 0):
        chosen: Activation = self.all[which]
        return chosen.forward(x)


def summary(tensor):
    flat = tensor.detach().double().flatten()
    picks = torch.linspace(0, flat.numel() - 1, min(SAMPLES, flat.numel())).long()
    return {
        "shape": list(tensor.shape),
        "at": picks.tolist(),
        "values": flat[picks].tolist(),
        "sum": flat.sum().item(),
        "norm": flat.norm().item(),
    }


def save(name, network):
    torch.jit.script(network).save(str(OUT / (name + ".pt")))


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(SEED)
    network = Network()
    save("network", network)
    x = torch.randn(6, 3, 8, 8)
    network.double()
    with Clipping() as clipping:
        y = network(x.double())
    y.square().sum().backward()
    learned = list(network.named_parameters()) + [(n + ".max", t) for n, t in clipping.limits.items()]
    expected = {
        "limit": LIMIT,
        "order": list(dict.fromkeys(ORDER)),
        "x": {"shape": list(x.shape), "values": x.flatten().tolist()},
        "y": summary(y),
        "gradients": {name: summary(p.grad) for name, p in learned},
        "buffers": {name: summary(b) for name, b in network.named_buffers()},
    }
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")

    small = Small()
    save("small", small)
    for mode in "eval", "train":
        small.train(mode == "train")
        traced = torch.jit.trace(small, torch.randn(2, 3, 8, 8), check_trace=False)
        traced.save(str(OUT / ("traced_%s.pt" % mode)))
    torch.jit.freeze(torch.jit.script(small.eval())).save(str(OUT / "frozen.pt"))
    save("relu6", Only(nn.ReLU6()))
    save("hardtanh", Only(nn.Hardtanh()))
    save("sigmoid", Only(nn.Sigmoid()))
    save("in_place", InPlace())
    save("counter", Counter())
    save("shared", Shared())
    save("two_inputs", TwoInputs())
    save("two_outputs", TwoOutputs())
    save("boxes", Boxes())
    save("chosen", Chosen())
    save("branch", Branch())
    save("indices", Indices())
    save("listed", Listed([torch.ones(5, 6)]))
    save("nested", Listed({"a": (torch.ones(5, 6), 1)}))


if __name__ == "__main__":
    main()
