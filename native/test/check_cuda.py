#!/usr/bin/env python3
"""Checks actclip's kernels against PyTorch's own operations, and times them.

    python3 native/test/check_cuda.py libactclip.so libactclip_cuda.so
    python3 native/test/check_cuda.py --device cpu libactclip.so

Needs PyTorch 2.10 or newer. The status is 1 when a check fails.
"""
import argparse
import itertools
import statistics
import sys
import time

import torch

OPS = torch.ops.actclip
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
LAYOUTS = ("contiguous", "channels last", "reversed", "gaps", "offset", "expanded")
SIZES = (0, 1, 3, 13, 207, 4098)
POOLED = ((2, 3, 5, 7), (3, 32, 14, 14), (1, 1, 2, 2), (2, 5, 9, 4), (1, 8, 33, 66), (0, 3, 4, 4))
BEYOND_32_BITS = 2**31 + 1  # divisible by 3

checks = 0
failures = []


def check(right, what):
    global checks
    checks += 1
    if not right:
        failures.append(what)
        print("FAILED:", what, flush=True)


def is_same(a, b):
    """The same bits; all NaNs are one."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    integers = BITS[a.element_size()]
    numbers = ~a.isnan()
    return bool(torch.equal(a.isnan(), b.isnan())) and bool(
        torch.equal(a[numbers].view(integers), b[numbers].view(integers)))


def is_close(got, exact, absolute, like):
    """Within two units in the last place of a sum in float64."""
    if got.shape != like.shape or got.dtype != like.dtype:
        return False
    exact, absolute = exact.reshape(like.shape), absolute.reshape(like.shape)
    info = torch.finfo(like.dtype)
    unit = torch.exp2(torch.floor(torch.log2(exact.abs().clamp_min(info.tiny)))) * info.eps
    error = (got.double() - exact).abs()
    return bool((error <= 2 * unit + 1e-13 * absolute).all())


def laid(values, layout):
    """The same values in another layout of memory."""
    if layout == "channels last" and values.dim() == 4:
        return values.contiguous(memory_format=torch.channels_last)
    if layout == "reversed":
        order = tuple(reversed(range(values.dim())))
        return values.permute(order).contiguous().permute(order)
    if layout == "gaps" and values.dim() > 0:
        return values.new_empty((*values.shape, 2))[..., 0].copy_(values)
    if layout == "offset":
        return values.new_empty(values.numel() + 1)[1:].view(values.shape).copy_(values)
    if layout == "expanded" and values.dim() > 0 and values.shape[0] > 0:
        return values[:1].expand(values.shape)
    return values.clone()


class Samples:
    def __init__(self, device):
        self.device = device
        self.random = torch.Generator().manual_seed(5)

    def of(self, shape, dtype):
        return torch.randn(shape, generator=self.random).to(self.device, dtype)

    def with_specials(self, shape, dtype):
        """Some are not numbers, infinite, zeros of either sign, or equal to a threshold."""
        values = torch.randn(shape, generator=self.random)
        specials = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 0.5, -0.25])
        which = torch.randint(0, 3 * len(specials), shape, generator=self.random)
        chosen = specials[which.clamp_max(len(specials) - 1)]
        return torch.where(which < len(specials), chosen, values).to(self.device, dtype)


def rectify(x):
    """relu; on CPUs the sign of a zero stays, which not every relu of PyTorch's keeps there."""
    return torch.relu(x) if x.is_cuda else torch.where(x < 0, torch.zeros_like(x), x)


def sum_like(values, like):
    """Sums in float64 over what shares a parameter, and the sums of the absolute values."""
    values = values.double()
    return tuple(
        v.sum().reshape(like.shape) if like.numel() == 1 else v.sum_to_size(like.shape)
        for v in (values, values.abs()))


def check_clip(x, g, hi, lo, value, relu, what):
    t, l, v = (None if p is None else p.to(x.dtype) for p in (hi, lo, value))
    r = rectify(x) if relu else x
    raised = r if lo is None else torch.where(r < l, l, r)
    above = raised > t
    below = torch.zeros_like(above) if lo is None else (r < l) & ~above
    y = OPS.clip(x, hi, lo, value, relu)
    check(is_same(y, torch.where(above, t if value is None else v, raised)), "y, " + what)
    gradients = OPS.clip_backward(g, x, hi, lo, value, relu)
    passed = ~(above | below)
    if relu:
        passed &= ~(x <= 0)
    zero = torch.zeros_like(g)
    check(is_same(gradients[0], torch.where(passed, g, zero)), "gradient by x, " + what)
    by = hi if value is None else value
    check(
        is_close(gradients[1], *sum_like(torch.where(above, g, zero), by), by),
        "gradient by the upper threshold, " + what)
    if lo is not None:
        check(
            is_close(gradients[2], *sum_like(torch.where(below, g, zero), lo), lo),
            "gradient by the lower threshold, " + what)
    for again in range(3):
        other = OPS.clip_backward(g, x, hi, lo, value, relu)
        check(all(is_same(a, b) for a, b in zip(gradients, other)), "the same again, " + what)
    if value is None and (lo is None or lo.shape == hi.shape):
        check_statistics(x, g, hi, lo, relu, above, below, what)


def check_statistics(x, g, hi, lo, relu, above, below, what):
    got = OPS.clip_statistics(g, x, hi, lo, relu)
    zero, one = torch.zeros_like(g), torch.ones_like(g)
    sums = []
    for clipped in (above,) if lo is None else (above, below):
        for chosen in (clipped, (x > 0) & ~clipped):
            sums += [torch.where(chosen, g, zero), torch.where(chosen, one, zero)]
    like = torch.empty(
        hi.shape, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32))
    right = len(got) == len(sums) and all(
        is_close(a, *sum_like(b, hi), like) for a, b in zip(got, sums))
    check(right, "statistics, " + what)


def check_clips(samples):
    shapes = [((size,), ()) for size in SIZES]
    shapes += [((size,), (size,)) for size in (1, 3, 207)]
    for shape in ((2, 3, 5, 7), (4, 32, 7, 7), (3, 5, 1, 2), (2, 64, 9, 1)):
        shapes += [(shape, (1,)), (shape, (shape[1], 1, 1)), (shape, shape[-1:])]
    shapes += [((207, 13), (13,)), ((4098, 40), (40,)), ((5, 4098), (4098,))]
    for dtype, (shape, channels) in itertools.product(DTYPES, shapes):
        for i, layout in enumerate(LAYOUTS):
            x = laid(samples.with_specials(shape, dtype), layout)
            g = laid(samples.of(shape, dtype), LAYOUTS[(i + len(shape)) % len(LAYOUTS)])
            own = DTYPES[i % len(DTYPES)]  # a parameter's dtype need not be that of x
            hi = torch.full(channels, 0.5, device=x.device, dtype=own)
            lo = samples.of(channels, own) - 1
            value = samples.of((), own)
            what = f"{dtype}, {shape}, {layout}, thresholds {own} {channels}"
            for relu in (False, True):
                check_clip(x, g, hi, None, None, relu, what)
                check_clip(x, g, hi, lo, None, relu, what + ", two-sided")
                check_clip(x, g, hi, lo, value, relu, what + ", untied")
            check_quantizer(x.nan_to_num(0.25, 3, -3), g, hi, what)


def check_quantizer(x, g, offset, what):
    low, high = -3, 12
    scale = torch.full_like(offset, 0.3)
    wide = torch.promote_types(x.dtype, torch.float32)
    s, o = scale.to(wide), offset.to(wide)
    position = (x.to(wide) - o) / s
    code = position.round().clamp(low, high)
    y = OPS.fake_quantize(x, scale, offset, low, high)
    check(is_same(y, (code * s + o).to(x.dtype)), "quantized, " + what)
    for rule in range(3):
        place = position.round() if rule == 1 else position
        outside = (place < low) | (place > high)
        rounding = torch.zeros_like(code) if rule == 0 else code - position
        shared = max(1, x.numel() // max(1, scale.numel()))
        factor = (shared * high) ** -0.5 if rule == 2 else 1
        zero = torch.zeros_like(g)
        gradients = OPS.fake_quantize_backward(g, x, scale, offset, low, high, rule)
        right = is_same(gradients[0], torch.where(outside, zero, g))
        terms = torch.where(outside, code, rounding).double() * g.double() * factor
        right &= is_close(gradients[1], *sum_like(terms, scale), scale)
        terms = torch.where(outside, g, zero).double() * factor
        right &= is_close(gradients[2], *sum_like(terms, offset), offset)
        check(right, f"gradients of quantizer {rule}, " + what)


def check_pools(samples):
    for dtype, shape, layout in itertools.product(DTYPES, POOLED, LAYOUTS):
        for channels, relu in itertools.product(((), (shape[1], 1, 1)), (False, True)):
            x = laid(samples.with_specials(shape, dtype), layout)
            t = torch.full(channels, 0.5, device=x.device)
            what = f"pooled, {dtype}, {shape}, {layout}, thresholds {channels}, relu {relu}"
            y, codes = OPS.max_pool_clip(x, t, relu)
            if x.numel() == 0:
                check(y.numel() == 0 and codes.numel() == 0, what)
                continue
            # Of four -Inf, PyTorch's pool names the first; channels last, on CUDA, another window's.
            largest, which = torch.nn.functional.max_pool2d(x.contiguous(), 2, return_indices=True)
            r = rectify(largest) if relu else largest
            above = r > t.to(dtype)
            check(is_same(y, torch.where(above, t.to(dtype), r)), "y " + what)
            g = samples.of(y.shape, dtype)
            channels_last = codes.shape[0] == shape[0] * (shape[2] // 2) and shape[1] > 1
            gx, gt = OPS.max_pool_clip_backward(
                g, codes, t, shape[2], shape[3], channels_last)
            zero = torch.zeros_like(g)
            stopped = above | (largest <= 0) if relu else above
            scattered = torch.zeros(shape, device=x.device, dtype=dtype).flatten(2).scatter(
                2, which.flatten(2), torch.where(stopped, zero, g).flatten(2))
            check(is_same(gx, scattered.view(shape)), "gradient by x " + what)
            check(is_close(gt, *sum_like(torch.where(above, g, zero), t), t), "by t " + what)


def check_refusals(samples):
    x, t = samples.of((2, 3, 4, 4), torch.float32), samples.of((), torch.float32)
    codes = OPS.max_pool_clip(x, t)[1]
    calls = {
        "integers": lambda: OPS.clip(x.long(), t),
        "integer thresholds": lambda: OPS.clip(x, t.long()),
        "thresholds of another shape": lambda: OPS.clip(x, t.expand(5)),
        "thresholds along two dimensions": lambda: OPS.clip(x, x[0, :2].expand(3, 2, 4, 4)[0]),
        "a gradient of another shape": lambda: OPS.clip_backward(x[:1], x, t),
        "three dimensions to pool": lambda: OPS.max_pool_clip(x[0], t),
        "a pool's threshold of another shape": lambda: OPS.max_pool_clip(x, t.expand(4)),
        "codes of another pool": lambda: OPS.max_pool_clip_backward(
            x[..., :2, :2], codes[:1], t, 4, 4, False),
        "codes from 1": lambda: OPS.fake_quantize(x, t, t, 1, 3),
        "a fourth rule": lambda: OPS.fake_quantize_backward(x, x, t, t, 0, 3, 3),
    }
    if x.is_cuda:
        calls["a threshold on the CPU"] = lambda: OPS.clip(x, t.cpu())
        calls["a gradient on the CPU"] = lambda: OPS.clip_backward(x.cpu(), x, t)
    leaf = x.clone().requires_grad_()
    calls["a gradient to record"] = lambda: OPS.clip(leaf, t)
    calls["a computed gradient to record"] = lambda: OPS.clip_backward(x, leaf * 1, t)
    for what, call in calls.items():
        try:
            call()
            check(False, "refuses " + what)
        except RuntimeError:
            check(True, what)
    with torch.no_grad():
        check(is_same(OPS.clip(leaf, t), OPS.clip(x, t)), "takes it with gradients disabled")


def check_streams(samples):
    """Another stream than the default one, and another device than the current one."""
    for device in range(torch.cuda.device_count()):
        x = samples.of((4_000_000,), torch.float32).to(device)
        t = torch.tensor(0.5, device=x.device)
        torch.cuda.synchronize(device)
        with torch.cuda.stream(torch.cuda.Stream(device)):
            z = x
            for _ in range(20):
                z = z * 1.01
            y = OPS.clip(z, t)
        torch.cuda.synchronize(device)
        check(is_same(y, torch.where(z > t, t, z)), f"a stream of {x.device}")
        current = torch.cuda.current_device()
        y = OPS.clip(x, t)
        check(is_same(y, torch.where(x > t, t, x)), f"{x.device} from another")
        check(torch.cuda.current_device() == current, f"the current device after {x.device}")


def check_beyond_32_bits(device):
    if device != "cuda" or torch.cuda.mem_get_info()[0] < 30e9:
        print(f"{BEYOND_32_BITS:,} elements: not checked, that takes a GPU with 30 GB free")
        return
    x = torch.full((BEYOND_32_BITS,), 0.25, device=device, dtype=torch.bfloat16)
    x[-1] = 2
    t = torch.tensor(1.0, device=device)
    for given, thresholds in ((x, t), (x.view(-1, 3), t.expand(3))):
        y = OPS.clip(given, thresholds)
        check(y.view(-1)[-1] == 1 and (y != given).sum() == 1, "beyond 32 bits, y")
        del y
        gx, gt, _ = OPS.clip_backward(given, given, thresholds)
        check(gx.view(-1)[-1] == 0 and (gx != given).sum() == 1, "beyond 32 bits, gradient by x")
        check(gt.sum() == 2, "beyond 32 bits, gradient by t")
        del gx


class ReluClip(torch.autograd.Function):
    @staticmethod
    def forward(context, x, t):
        context.save_for_backward(x, t)
        return OPS.clip(x, t, relu=True)

    @staticmethod
    def backward(context, g):
        x, t = context.saved_tensors
        return OPS.clip_backward(g, x, t, relu=True)[:2]


def composed(x, t):
    r = torch.relu(x)
    return torch.where(r > t, t, r)


def seconds(task, device):
    """The median of repeated runs."""
    times = []
    for i in range(40):
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            task()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1e3)
        else:
            begin = time.perf_counter()
            task()
            times.append(time.perf_counter() - begin)
    return statistics.median(times[10:])


def measure(device):
    print("\nrelu and clip, forward and backward, float32")
    print(f"{'elements':>12} {'kernel µs':>11} {'composed µs':>12} {'ratio':>6} {'of triad':>9}")
    for size in (1, 1_000, 100_352, 401_408, 4_000_000, 64_000_000):
        x = torch.randn(size, device=device).requires_grad_()
        g = torch.randn(size, device=device)
        t = torch.tensor(0.5, device=device).requires_grad_()
        kernel, other = (
            seconds(lambda: torch.autograd.grad(clip(x, t), (x, t), g), device)
            for clip in (ReluClip.apply, composed))
        a, b, c = (torch.ones(size, device=device) for _ in range(3))
        triad = 12 * size / seconds(lambda: torch.add(a, b, alpha=2, out=c), device)
        share = f"{20 * size / kernel / triad:.0%}" if size >= 1_000_000 else ""
        print(
            f"{size:>12,} {kernel * 1e6:>11,.1f} {other * 1e6:>12,.1f} {other / kernel:>6.1f}"
            f" {share:>9}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("libraries", nargs="+", help="libactclip.so, then libactclip_cuda.so")
    arguments = parser.parse_args()
    for library in arguments.libraries:
        torch.ops.load_library(library)
    device = arguments.device
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__}, {device}, {name}", flush=True)
    samples = Samples(device)
    check_clips(samples)
    check_pools(samples)
    check_refusals(samples)
    if device == "cuda":
        check_streams(samples)
    check_beyond_32_bits(device)
    print(f"{checks - len(failures):,} of {checks:,} checks passed", flush=True)
    measure(device)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
