"""Writes src/test/resources/fixtures/net.json: what Python's PyTorch makes of Net.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_net_fixture.py

Of every tensor it keeps some evenly spaced values, the sum and the norm, so that the file stays
small. Everything is seeded; the images and labels are drawn from the same generator as in Java.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

SEED = 7
BATCH = 16
STEPS = 20
SAMPLES = 101
OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "net.json"


class Net(nn.Module):
    """The asker's network, with where() in place of the assignment."""

    def __init__(self):
        super().__init__()
        self.act_max = nn.Parameter(torch.ones(1))
        self.conv1 = nn.Conv2d(3, 32, kernel_size=5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5)
        self.linear = nn.Linear(64 * 5 * 5, 10)
        for layer in (self.conv1, self.conv2, self.linear):
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x):
        x = F.relu(self.pool(self.conv1(x)))
        x = torch.where(x > self.act_max, self.act_max, x)
        x = F.relu(self.pool(self.conv2(x)))
        return self.linear(x.view(-1, 64 * 5 * 5))


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


def start():
    """The network and the batch that every part of the fixture begins with."""
    torch.manual_seed(SEED)
    net = Net()
    images = torch.randn(BATCH, 3, 32, 32)
    labels = torch.randint(0, 10, (BATCH,))
    return net, images, labels


def parameters(net):
    return {name: summary(p) for name, p in net.named_parameters()}


def trained(make_optimizer):
    net, images, labels = start()
    optimizer = make_optimizer(net.parameters())
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "parameters": parameters(net)}


def one_cycle(total_steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.05, total_steps=total_steps, cycle_momentum=False
    )
    rates = []
    for _ in range(total_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def main():
    net, images, labels = start()
    initial = parameters(net)
    logits = net(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    fixture = {
        "made_with": "torch " + torch.__version__,
        "seed": SEED,
        "batch": BATCH,
        "steps": STEPS,
        "initial": initial,
        "images": summary(images),
        "labels": labels.tolist(),
        "logits": summary(logits),
        "loss": loss.item(),
        "gradients": {name: summary(p.grad) for name, p in net.named_parameters()},
        "sgd": trained(lambda p: torch.optim.SGD(p, lr=0.01)),
        "sgd_momentum": trained(
            lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
        ),
        "adamw": trained(lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01)),
        "one_cycle": {str(n): one_cycle(n) for n in (2, 3, 4, 5, 10, 57)},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
