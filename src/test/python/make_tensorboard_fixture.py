"""Writes src/test/resources/fixtures/torch.tfevents with PyTorch's SummaryWriter.

    python3 -m venv /tmp/tensorboard
    /tmp/tensorboard/bin/pip install torch==2.13.0 tensorboard==2.21.0
    /tmp/tensorboard/bin/python src/test/python/make_tensorboard_fixture.py

The clock stands still and the values are exact in binary, so that the same bytes come out every time.
"""

import pathlib
import tempfile
import time

import numpy as np
from torch.utils.tensorboard import SummaryWriter

TARGET = pathlib.Path(__file__).parents[1] / "resources/fixtures/torch.tfevents"


def main():
    time.time = lambda: 1700000000.5
    with tempfile.TemporaryDirectory() as folder:
        # As of a training that goes on after step 150.
        with SummaryWriter(folder, purge_step=151) as writer:
            writer.add_scalar("loss/step", 0.375, 151)
            writer.add_scalar("threshold/größe 🙂", -1e30, 160)
            writer.add_scalar("zero", 0.0, 2**40)
            # Its edges are 1, 2, ..., 31; some bins are empty.
            values = np.array([1, 1, 1.5, 2, 7, 30, 30.5, 31], dtype=np.float64)
            writer.add_histogram("spread", values, 170, bins=30)
            writer.add_histogram_raw(
                "activations", min=0.5, max=2, num=7, sum=8.5, sum_squares=11.25,
                bucket_limits=[0.5, 1, 1.5, 2], bucket_counts=[0, 4, 1, 2], global_step=180)
        (file,) = pathlib.Path(folder).iterdir()
        TARGET.write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
