"""Writes src/test/resources/fixtures/models.json: what torchvision makes of its networks.

Run from the project's root with Debian's python3-torchvision (0.14):

    /usr/bin/python3 src/test/python/make_models_fixture.py

Weights and images are drawn from one seed, as in Java, in float32. The rest is float64: in float32 sums in another
order can turn a ReLU over, and 50 layers make much of that. Of every tensor it keeps a few
evenly spaced values, the sum and the norm, so that the file stays small.
"""

import json
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, ResNet

SEED = 11
SAMPLES = 5
RATE = 0.05
OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "models.json"


class Clip(nn.Module):
    """min(relu(x), max); a tie's gradient goes to x, as in actclip."""

    def __init__(self, initial):
        super().__init__()
        self.max = nn.Parameter(torch.full((1,), float(initial)))

    def forward(self, x):
        x = functional.relu(x)
        return torch.where(x > self.max, self.max.expand_as(x), x)


class ClippedBlock(BasicBlock):
    """Torchvision's, with a clip for each of its two ReLUs."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.act1 = Clip(1)
        self.act2 = Clip(1)

    def forward(self, x):
        out = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(out + (x if self.downsample is None else self.downsample(x)))


class ResNet20(ResNet):
    """Torchvision's with the stem for small images, and three stages."""

    def __init__(self, block, act1):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes = 16
        self.dilation = 1
        self.groups = 1
        self.base_width = 64
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = act1
        self.layer1 = self._make_layer(block, 16, 3)
        self.layer2 = self._make_layer(block, 32, 3, stride=2)
        self.layer3 = self._make_layer(block, 64, 3, stride=2)
        self.fc = nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def clip_each_relu6(module):
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU6):
            setattr(module, name, Clip(1))
        else:
            clip_each_relu6(child)
    return module


def clip_each_relu(module):
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, Clip(0.5))
    return module


def mobilenet(width):
    return torchvision.models.MobileNetV2(num_classes=10, width_mult=width, dropout=0.0)


def summary(tensor):
    flat = tensor.detach().double().flatten()
    picks = torch.linspace(0, flat.numel() - 1, min(SAMPLES, flat.numel())).long()
    return {
        "shape": list(tensor.shape),
        "at": picks.tolist(),
        "values": [float(f"{v:.9g}") for v in flat[picks].tolist()],
        "sum": flat.sum().item(),
        "norm": flat.norm().item(),
    }


def state(network):
    return {name: summary(value) for name, value in network.state_dict().items()}


def gradients(network):
    return {name: summary(p.grad) for name, p in network.named_parameters()}


def record(make, shape):
    """A forward pass in training mode, a step, and a forward pass in evaluation mode."""
    torch.manual_seed(SEED)
    network = make()
    x = torch.randn(shape)
    target = torch.arange(shape[0]) % 10
    start = state(network)
    network.double()
    x = x.double()
    network.train()
    output = network(x)
    loss = functional.cross_entropy(output, target)
    loss.backward()
    torch.optim.SGD(network.parameters(), lr=RATE).step()
    network.eval()
    with torch.no_grad():
        after = network(x)
    return {
        "input": summary(x),
        "start": start,
        "output": summary(output),
        "loss": loss.item(),
        "gradients": gradients(network),
        "end": state(network),
        "after": summary(after),
    }


def mlp():
    return torchvision.ops.MLP(12, [20, 14, 10])


def main():
    small, large = (8, 3, 32, 32), (8, 3, 64, 64)
    fixture = {
        "mlp": record(mlp, (16, 12)),
        "mlp_clipped": record(lambda: clip_each_relu(mlp()), (16, 12)),
        "resnet20": record(lambda: ResNet20(BasicBlock, nn.ReLU()), small),
        "resnet20_clipped": record(lambda: ResNet20(ClippedBlock, Clip(1)), small),
        "resnet18": record(lambda: torchvision.models.resnet18(num_classes=10), large),
        "mobilenet_v2": record(lambda: mobilenet(1.0), large),
        "mobilenet_v2_clipped": record(lambda: clip_each_relu6(mobilenet(0.35)), large),
    }
    OUT.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
