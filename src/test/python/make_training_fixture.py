"""Writes src/test/resources/fixtures/training.json: the rates of PyTorch's schedulers.

Run from the project's root with Debian's python3-torch (1.13):

    /usr/bin/python3 src/test/python/make_training_fixture.py
"""

import json
import random
from pathlib import Path

import torch
from torch.optim import lr_scheduler

OUT = Path(__file__).parent.parent / "resources" / "fixtures" / "training.json"
PEAK = 0.05
EPOCHS = 5
STEPS_PER_EPOCH = 6
STEPS = EPOCHS * STEPS_PER_EPOCH
WARM_UP = 7
SEED = 13


def optimizer(rate=PEAK):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates(make_schedule):
    """The rate of each step, of a scheduler that is told of each step."""
    sgd = optimizer()
    schedule = make_schedule(sgd)
    result = []
    for _ in range(STEPS):
        result.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.step()
    return result


def warmed_up(make_schedule):
    def make(sgd):
        warm_up = lr_scheduler.LinearLR(sgd, start_factor=1 / WARM_UP, total_iters=WARM_UP - 1)
        return lr_scheduler.SequentialLR(sgd, [warm_up, make_schedule(sgd)], milestones=[WARM_UP])

    return make


def constant(sgd):
    return lr_scheduler.ConstantLR(sgd, factor=1)


def step(sgd):
    return lr_scheduler.StepLR(sgd, step_size=2 * STEPS_PER_EPOCH, gamma=0.3)


def cosine(steps):
    return lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, T_max=steps)


def plateau(losses, peak, factor, patience):
    """The rate of each epoch: the first before any loss, the last after all but one."""
    sgd = optimizer(peak)
    schedule = lr_scheduler.ReduceLROnPlateau(sgd, factor=factor, patience=patience)
    result = []
    for loss in losses:
        result.append(sgd.param_groups[0]["lr"])
        schedule.step(loss)
    return {"peak": peak, "factor": factor, "patience": patience, "losses": losses, "rates": result}


def noisy_losses():
    """They fall, stall for a while, and improve by less than the threshold counts."""
    draw = random.Random(SEED)
    falling = [2 / (1 + epoch) + 0.2 * draw.random() for epoch in range(30)]
    stalling = [min(falling) * (1 - 0.3e-4 * epoch) for epoch in range(20)]
    return falling + stalling + [min(stalling) * (1 + 0.1 * draw.random()) for _ in range(10)]


def main():
    fixture = {
        "made_with": "torch " + torch.__version__,
        "peak": PEAK,
        "steps": STEPS,
        "steps_per_epoch": STEPS_PER_EPOCH,
        "warm_up": WARM_UP,
        "step": rates(step),
        "cosine": rates(cosine(STEPS)),
        "constant_after_warm_up": rates(warmed_up(constant)),
        "step_after_warm_up": rates(warmed_up(step)),
        "cosine_after_warm_up": rates(warmed_up(cosine(STEPS - WARM_UP))),
        "plateaus": [
            plateau(noisy_losses(), PEAK, 0.1, 10),
            plateau(noisy_losses(), PEAK, 0.5, 2),
            plateau([1.0] * 12, 1e-4, 0.1, 0),  # down to where a reduction is below its least
        ],
    }
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
