"""Writes src/test/resources/fixtures/calibration.json: thresholds by numpy, the slow and plain way.

Run from the project's root with Debian's python3-numpy:

    /usr/bin/python3 src/test/python/make_calibration_fixture.py

The data come from a linear congruential generator, a sum, a difference and a quotient: the same
bits in Java, so that the file holds results only. The mean square error is taken over the samples
themselves, for a linear grid of thresholds; the divergence follows the pseudocode of Migacz, "8-bit
Inference with TensorRT" (2017), with distributions as arrays.
"""

import json
from pathlib import Path

import numpy as np

COUNT = 10_000
SEED = 2017
BITS = (2, 4, 8)
GRID = 5_000
BINS = 2_048
OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "calibration.json"


def uniform(count):
    state = SEED
    numbers = np.empty(count)
    for i in range(count):
        state = (1103515245 * state + 12345) % 2**31
        numbers[i] = state / 2**31
    return numbers


def bell():
    twelve = uniform(12 * COUNT).reshape(COUNT, 12)
    total = np.zeros(COUNT)
    for column in range(12):  # in this order, as in Java
        total += twelve[:, column]
    return total - 6


def tail():
    pairs = uniform(2 * COUNT).reshape(COUNT, 2)
    return pairs[:, 0] / (pairs[:, 1] + 0.02)


def outlier():
    values = bell()
    values[-1] = 25
    return values


def mean_square_error(values, threshold, steps):
    step = threshold / steps
    quantized = np.clip(np.rint(values / step), 0, steps) * step
    return np.mean((quantized - values) ** 2)


def mse(values, steps):
    thresholds = values.max() * np.arange(1, GRID + 1) / GRID
    errors = [mean_square_error(values, t, steps) for t in thresholds]
    best = int(np.argmin(errors))
    return {"threshold": thresholds[best], "error": errors[best]}


def divergence(bins, i, levels):
    p = bins[:i].copy()
    p[i - 1] += bins[i:].sum()
    p /= p.sum()
    q = np.zeros(i)
    level = np.arange(i) * levels // i
    for merged in range(levels):
        members = (level == merged) & (bins[:i] > 0)
        if members.any():
            q[members] = bins[:i][members].sum() / members.sum()
    if np.any((p > 0) & (q == 0)):
        return np.inf
    q /= q.sum()
    there = p > 0
    return np.sum(p[there] * np.log(p[there] / q[there]))


def kl(values, levels):
    positive = values[values > 0]
    bins, edges = np.histogram(positive, bins=BINS, range=(0, positive.max()))
    bins = bins.astype(float)
    candidates = list(range(levels, BINS + 1))
    divergences = [divergence(bins, i, levels) for i in candidates]
    m = max(i for i, d in zip(candidates, divergences) if d == min(divergences))
    return {"m": m, "threshold": min((m + 0.5) * edges[1], positive.max())}


def results(values, bits, signed):
    steps = 2 ** (bits - 1 if signed else bits) - 1
    positive = np.abs(values) if signed else np.maximum(values, 0)
    return {
        "max": positive.max(),
        "percentile": np.percentile(positive[positive > 0], 99.9),
        "mse": mse(positive, steps),
        "kl": kl(positive, steps + 1),
    }


def main():
    fixture = {"made_with": "numpy " + np.__version__, "count": COUNT, "seed": SEED}
    for name, values in {"bell": bell(), "tail": tail(), "outlier": outlier()}.items():
        fixture[name] = {
            f"{'signed' if signed else 'unsigned'}{bits}": results(values, bits, signed)
            for signed in (False, True)
            for bits in BITS
        }
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
