"""A network in Python's PyTorch, channels-last: a contestant of 'samples/run benchmark'.

Arguments: 'step' or 'forward', batch size, threads, 'float32' or 'bfloat16', the network's name, or the
file of a script, as it is.
Prints its own name, then for every number n that it reads from standard input it does n passes and
prints milliseconds a pass.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act_max = nn.Parameter(torch.ones(1))
        self.conv1 = nn.Conv2d(3, 32, kernel_size=5)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5)
        self.linear = nn.Linear(64 * 5 * 5, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = torch.where(x > self.act_max, self.act_max, x)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.linear(x.flatten(1))


class Clip(nn.Module):
    """A ReLU with a learned threshold."""

    def __init__(self):
        super().__init__()
        self.max = nn.Parameter(torch.full((1,), 6.0))

    def forward(self, x):
        x = F.relu(x, inplace=True)
        return torch.where(x > self.max, self.max, x)


def conv(inputs, outputs, kernel_size, stride=1):
    return nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = Clip()
        self.conv2 = conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = Clip()
        self.downsample = nn.Identity()
        if inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return self.act2(y)


def resnet(stem, width, blocks):
    parts, inputs = stem, width
    for i, count in enumerate(blocks):
        outputs = width << i
        for j in range(count):
            parts.append(Block(inputs, outputs, 2 if inputs != outputs else 1))
            inputs = outputs
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def resnet20():
    return resnet([conv(3, 16, 3), nn.BatchNorm2d(16), Clip()], 16, [3, 3, 3])


def resnet18():
    pool = nn.MaxPool2d(3, 2, 1)
    return resnet([conv(3, 64, 7, 2), nn.BatchNorm2d(64), Clip(), pool], 64, [2, 2, 2, 2])


def mlp():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3 * 32 * 32, 256),
        Clip(),
        nn.Linear(256, 256),
        Clip(),
        nn.Linear(256, 10),
    )


def mobilenet_v2():
    import torchvision

    net = torchvision.models.mobilenet_v2(num_classes=10)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(module, name, Clip())
    return net


NETWORKS = {
    "net": Net,
    "mlp": mlp,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
}


def main():
    part, batch_size, threads, precision, network = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    net = NETWORKS[network]() if network in NETWORKS else torch.jit.load(network)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    images = torch.randn(int(batch_size), 3, 32, 32)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        classes = net.eval()(images[:1]).shape[1]
    net.train(part == "step")
    labels = torch.randint(0, classes, (int(batch_size),))

    def logits():
        if precision == "float32":
            return net(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net(images).float()

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits(), labels).backward()
        optimizer.step()

    def forward():
        with torch.inference_mode():
            logits()

    work = step if part == "step" else forward
    work()
    print("Python " + torch.__version__, flush=True)
    for line in sys.stdin:
        passes = int(line)
        start = time.perf_counter()
        for _ in range(passes):
            work()
        print((time.perf_counter() - start) * 1000 / passes, flush=True)


main()
