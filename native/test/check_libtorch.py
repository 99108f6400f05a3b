#!/usr/bin/env python3
"""Loads actclip's kernels into other LibTorches than the one that they were tested with.

    python3 native/test/check_libtorch.py libactclip.so libtorch_cpu.so

The second is the empty library of the build, which lacks all of LibTorch's functions, as an older
LibTorch lacks some: the kernels must be refused with the name of one. Then come those of this
Python's PyTorch: refused before 2.10, and from 2.10 on run, with check_cuda.py. The status is 1
when a check fails.
"""
import argparse
import pathlib
import subprocess
import sys

KERNELS_NEED = (2, 10)
LOAD = "import ctypes, sys; [ctypes.CDLL(file, ctypes.RTLD_GLOBAL) for file in sys.argv[1:]]"
LOAD_INTO_PYTORCH = "import sys, torch; torch.ops.load_library(sys.argv[1])"


def is_refused(code, *libraries):
    """In a process of its own, which a crash would end."""
    run = subprocess.run([sys.executable, "-c", code, *libraries], capture_output=True, text=True)
    reason = run.stderr.strip().rpartition("\n")[2]
    print(f"  status {run.returncode}, {reason or 'no reason'}", flush=True)
    return run.returncode == 1 and "undefined symbol: " in reason


def version_of_pytorch():
    try:
        import torch
    except ImportError:
        return None
    return torch.__version__


def check_pytorch(version, kernels):
    if tuple(int(part) for part in version.split(".")[:2]) < KERNELS_NEED:
        print(f"PyTorch {version}, which is older than 2.10: what it computes is skipped", flush=True)
        return is_refused(LOAD_INTO_PYTORCH, kernels)
    checks = pathlib.Path(__file__).with_name("check_cuda.py")
    return subprocess.run([sys.executable, checks, "--device", "cpu", kernels]).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels")
    parser.add_argument("empty")
    arguments = parser.parse_args()
    print("a LibTorch without functions", flush=True)
    right = is_refused(LOAD, arguments.empty, arguments.kernels)
    version = version_of_pytorch()
    if version is None:
        print(f"skipped: {sys.executable} has no PyTorch", flush=True)
    else:
        right &= check_pytorch(version, arguments.kernels)
    print("passed" if right else "FAILED", flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
