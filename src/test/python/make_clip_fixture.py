"""Writes src/test/resources/fixtures/clip.json: what Python's PyTorch makes of clips and quantizers.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_clip_fixture.py

All gradients are autograd's, in float64. The clips are written with where(), clamp() and
softplus(); the quantizers straight from their papers, with rounding detached. The inputs of the
clips are multiples of 1/4, so that there are ties; of the quantizers' inputs one lies at the largest
code, in a channel whose scale divides it exactly, and no other is a tie.
"""

import functools
import itertools
import json
import math
from pathlib import Path

import torch
from torch.nn import functional as F

SEED = 13
SHAPE = (2, 3, 2, 2)
CHANNELS = (3, 1, 1)
BETA = 4
BITS = (2, 4, 8)
OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "clip.json"


def tied(x, t):
    return torch.where(x > t, t, x)


def relu(x, t):
    return tied(F.relu(x), t)


def two_sided(x, lo, hi):
    return torch.clamp(x, lo, hi)


def untied(x, cut, value):
    return torch.where(x > cut, value, x)


def soft(x, t):
    return t - F.softplus(BETA * (t - x)) / BETA


def generalized_relu(x, b, t):
    return (x + b) * (x > t)


# Of every form one threshold, or one for each channel; some are at or below zero, and lo > hi once.
FORMS = {
    "tied": (tied, [([0.5], [0.5, -0.25, 0.0])]),
    "relu": (relu, [([0.5], [0.5, -0.25, 1.0])]),
    "two_sided": (two_sided, [([-0.5], [-0.5, 0.5, -1.0]), ([0.75], [0.25, -0.25, 0.5])]),
    "untied": (untied, [([0.5], [0.5, -0.25, 0.75]), ([0.25], [1.0, -0.25, 0.0])]),
    "soft": (soft, [([0.5], [0.5, -0.25, 1.0])]),
    "generalized_relu": (generalized_relu, [([0.25], [0.25, -0.5, 0.5]), ([-0.25], [0.0, 0.5, 1.0])]),
}


def round_through(x):
    return x + (torch.round(x) - x).detach()


def ceil_through(x):
    return x + (torch.ceil(x) - x).detach()


def scale_gradient(x, factor):
    return (x - x * factor).detach() + x * factor


def lsq_factor(x, parameter, high):
    return 1 / math.sqrt(x.numel() / parameter.numel() * high)


def pact(low, high, x, alpha):
    """1805.06085, equations 1 and 2, and its symmetric form; the rounding is not in alpha's gradient."""
    bottom = torch.zeros_like(alpha) if low == 0 else -alpha
    y = torch.where(x > alpha, alpha, torch.where(x < bottom, bottom, x))
    return y + (torch.round(y * high / alpha) * alpha / high - y).detach()


def lsq(low, high, x, s):
    """1902.08153, equations 1 and 2, and appendix B."""
    s = scale_gradient(s, lsq_factor(x, s, high))
    return round_through(torch.clamp(x / s, low, high)) * s


def lsq_plus(low, high, x, s, beta):
    """2004.09576, equations 1 and 2, with the gradients scaled as in LSQ."""
    factor = lsq_factor(x, s, high)
    s, beta = scale_gradient(s, factor), scale_gradient(beta, factor)
    return round_through(torch.clamp((x - beta) / s, low, high)) * s + beta


def tqt(low, high, x, log2_t):
    """1903.08066, section 3: a scale that is a power of two."""
    s = 2 ** ceil_through(log2_t) / (high + 1)
    return torch.clamp(round_through(x / s), low, high) * s


def tops(high):
    """Where the largest code lies, for one threshold and for three; the first divides by high exactly."""
    exact = high * 2.0 ** -math.floor(math.log2(high))
    return [exact], [exact, 1.3, 0.7]


def quantizer_parameters(method, high):
    for values in tops(high):
        if method == "pact":
            yield [values]
        elif method == "tqt":
            yield [[math.log2(v) for v in values]]
        else:
            scales = [v / high for v in values]
            offsets = [-0.4, 0.15, 0.0][: len(values)]
            yield [scales] if method == "lsq" else [scales, offsets]


QUANTIZERS = {"pact": pact, "lsq": lsq, "lsq_plus": lsq_plus, "tqt": tqt}


def code_range(method, bits, signed):
    high = 2 ** (bits - 1 if signed else bits) - 1
    if not signed:
        return 0, high
    return (-high if method == "pact" else -high - 1), high


def parameter(values):
    tensor = torch.tensor(values, dtype=torch.float64)
    return (tensor.view(CHANNELS) if len(values) == 3 else tensor).requires_grad_()


def stored(tensor):
    tensor = torch.zeros(0) if tensor is None else tensor.detach()
    return {"shape": list(tensor.shape), "values": tensor.flatten().tolist()}


def case(names, function, x, g, values):
    x = x.clone().requires_grad_()
    parameters = [parameter(v) for v in values]
    y = function(x, *parameters)
    y.backward(g)
    return {
        **names,
        "parameters": [stored(p) for p in parameters],
        "y": stored(y),
        "dx": stored(x.grad),
        "gradients": [stored(torch.zeros_like(p) if p.grad is None else p.grad) for p in parameters],
    }


def clips(x, g):
    for name, (function, thresholds) in FORMS.items():
        for channels in (0, 1):
            values = [t[channels] for t in thresholds]
            yield case({"form": name}, function, x, g, values)


def quantizers(noise, g):
    for method, bits, signed in itertools.product(QUANTIZERS, BITS, (False, True)):
        low, high = code_range(method, bits, signed)
        x = noise.clone()
        x[0, 0, 0, 0] = tops(high)[0][0]
        quantizer = functools.partial(QUANTIZERS[method], low, high)
        names = {"method": method, "bits": bits, "signed": signed, "x": stored(x)}
        for values in quantizer_parameters(method, high):
            yield case(names, quantizer, x, g, values)


def main():
    torch.manual_seed(SEED)
    x = torch.round(torch.randn(SHAPE, dtype=torch.float64) * 4) / 4
    g = torch.round(torch.randn(SHAPE, dtype=torch.float64) * 16) / 16
    noise = torch.round(torch.randn(SHAPE, dtype=torch.float64) * 15e3) / 1e4
    fixture = {
        "made_with": "torch " + torch.__version__,
        "x": stored(x),
        "g": stored(g),
        "beta": BETA,
        "clips": list(clips(x, g)),
        "quantizers": list(quantizers(noise, g)),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
