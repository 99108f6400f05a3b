"""Writes src/test/resources/fixtures/networks/: three networks as PyTorch trains them.

For each: NAME-start.pt and NAME-end.pt, state dicts before and after some steps of SGD with
Nesterov momentum, and in networks.json the data, the losses, and the outputs in evaluation mode after it.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_networks_fixture.py
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "networks"
STEPS = 12
SEED = 21


class Clip(nn.Module):
    """min(relu(x), max); a tie's gradient goes to x, as in actclip."""

    def __init__(self, initial, channels=1):
        super().__init__()
        self.max = nn.Parameter(torch.full((channels,), float(initial)))

    def forward(self, x):
        shape = [1, -1] + [1] * (x.dim() - 2)
        limit = self.max.view(shape) if self.max.numel() > 1 else self.max
        x = functional.relu(x)
        return torch.where(x > limit, limit.expand_as(x), x)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.clip = Clip(1.0, channels=8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.clip(self.bn(self.conv(x)))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 16)
        self.clip = Clip(0.75)
        self.output = nn.Linear(16, 1)

    def forward(self, x):
        return self.output(self.clip(self.hidden(x)))


class TwoBranches(nn.Module):
    """Both branches go through one clip, which has one threshold."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 10)
        self.right = nn.Sequential(nn.Linear(6, 10), nn.LayerNorm(10))
        self.clip = Clip(0.5)
        self.head = nn.Linear(20, 3)

    def forward(self, x):
        left = self.clip(self.left(x))
        right = self.clip(self.right(x))
        return self.head(torch.cat([left, right], 1))


def record(name, network, data, target, loss):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    torch.save(network.state_dict(), OUT / f"{name}-start.pt")
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(network(data), target)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    torch.save(network.state_dict(), OUT / f"{name}-end.pt")
    network.eval()
    with torch.no_grad():
        output = network(data)
    return {
        "data": tensor(data),
        "target": tensor(target),
        "losses": losses,
        "output": tensor(output),
    }


def tensor(x):
    return {"shape": list(x.shape), "values": [float(f"{v:.9g}") for v in x.flatten().tolist()]}


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(SEED)
    images = torch.randn(6, 3, 8, 8)
    rows = torch.randn(16, 4)
    values = (rows[:, :1] * 2 - rows[:, 1:2].abs()) + 0.1 * torch.randn(16, 1)
    points = torch.randn(12, 6)
    fixture = {
        "conv": record(
            "conv", ConvNet(), images, torch.arange(6) % 5, functional.cross_entropy
        ),
        "mlp": record("mlp", Mlp(), rows, values, functional.mse_loss),
        "branches": record(
            "branches", TwoBranches(), points, torch.arange(12) % 3, functional.cross_entropy
        ),
    }
    (OUT / "networks.json").write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
