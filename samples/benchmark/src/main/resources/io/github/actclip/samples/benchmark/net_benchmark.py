"""Net in Python's PyTorch, channels-last: a contestant of 'samples/run benchmark'.

Arguments: 'step' or 'forward', batch size, threads, 'float32' or 'bfloat16'. Prints its name, then
for every number n that it reads from standard input it does n passes and prints milliseconds a
pass.
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


def main():
    part, batch_size, threads, precision = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    net = Net().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    images = torch.randn(int(batch_size), 3, 32, 32)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (int(batch_size),))

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
