"""Depthwise convolution beside torch and beside two limits: copying, and arithmetic.

The first is the time to copy as many bytes as input and output have, the second that of the
multiply-adds at the speed of a large matrix product; no forward pass is faster than either.

Torch is timed in both memory formats and the faster sum of forward and backward counts. All take
turns, and the least time of each is compared. The process keeps freed memory, for torch as for us:
else fresh pages would be most of what is measured. With `--device cuda` only torch is measured.
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F

from convatlas.kernels import depthwise_conv1d, depthwise_conv2d, keep_freed_memory
from machine import write_results

# channels, side, kernel, stride: the depthwise layers at 224 pixels, each shape once
SHAPES_2D = {
    "mobilenet_v1": (
        *((32, 112, 3, 1), (64, 112, 3, 2), (128, 56, 3, 1), (128, 56, 3, 2), (256, 28, 3, 1)),
        *((256, 28, 3, 2), (512, 14, 3, 1), (512, 14, 3, 2), (1024, 7, 3, 1)),
    ),
    "mobilenet_v2": (
        *((96, 112, 3, 2), (144, 56, 3, 1), (144, 56, 3, 2), (192, 28, 3, 1), (192, 28, 3, 2)),
        *((384, 14, 3, 1), (576, 14, 3, 1), (576, 14, 3, 2), (960, 7, 3, 1)),
    ),
    "efficientnet_b0": (
        *((144, 56, 5, 2), (240, 28, 5, 1), (240, 28, 3, 2), (480, 14, 3, 1), (480, 14, 5, 1)),
        *((672, 14, 5, 1), (672, 14, 5, 2), (1152, 7, 5, 1), (1152, 7, 3, 1)),
    ),
}
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)  # of Conv-TasNet: 512 channels, kernel 3
SIDE = 1024  # of the matrices whose product tells the speed of arithmetic
LENGTH = 3200  # about four seconds at 8 kHz with a step of 10 samples


class Clock:
    """Least seconds of calls by turns."""

    def __init__(self, device, rounds):
        self.device, self.rounds = device, rounds

    def _once(self, call):
        if self.device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def least(self, calls):
        found = dict.fromkeys(calls, math.inf)
        for call in calls.values():
            self._once(call)
        for _ in range(self.rounds):
            for name, call in calls.items():
                found[name] = min(found[name], self._once(call))
        return found


def both_ways(function, x, weight, dy):
    """Forward of tensors that need no gradient, and forward with both gradients."""
    plain = x.detach(), weight.detach()
    needing = x.detach().requires_grad_(), weight.detach().requires_grad_()

    def forward():
        function(*plain)

    def both():
        torch.autograd.grad(function(*needing), needing, dy)

    return forward, both


def copying(x, y):
    """The same bytes read and written, with nothing computed."""
    source = torch.empty((x.numel() + y.numel()) // 2, dtype=x.dtype, device=x.device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def multiplying(device, dtype):
    """A large matrix product: what arithmetic alone allows."""
    a, b = (torch.rand(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    return lambda: a @ b


def measure(clock, x, weight, ours, torchs, formats):
    """One row: torch per memory format, ours, the limits."""
    y = torchs(x, weight).detach()
    calls = {"copy": copying(x, y), "product": multiplying(x.device, x.dtype)}
    dy, macs = torch.randn_like(y), y.numel() * weight[0].numel()
    for name, change in formats.items():
        sides = both_ways(torchs, change(x), weight, change(dy))
        calls[f"torch {name} forward"], calls[f"torch {name} both"] = sides
    if ours is not None:
        best = change(x), weight, change(dy)  # the last format is the one that ours prefers
        calls["ours forward"], calls["ours both"] = both_ways(ours, *best)
    found = clock.least(calls)
    peer = min((name for name in formats), key=lambda name: found[f"torch {name} both"])
    result = {
        "best_torch": peer,
        "copy_ms": found["copy"] * 1e3,
        "arithmetic_ms": found["product"] * macs / SIDE**3 * 1e3,
    }
    for side in ("forward", "both"):
        result[f"torch_{side}_ms"] = found[f"torch {peer} {side}"] * 1e3
        if ours is not None:
            result[f"ours_{side}_ms"] = found[f"ours {side}"] * 1e3
    prefix = "torch" if ours is None else "ours"
    forward, limit = result[f"{prefix}_forward_ms"], max(result["copy_ms"], result["arithmetic_ms"])
    result["forward_over_copy"] = forward / result["copy_ms"]
    result["forward_over_limit"] = forward / limit
    if ours is not None:
        result["torch_over_ours_both"] = result["torch_both_ms"] / result["ours_both_ms"]
    return result


def images(clock, batch, device, dtype):
    for model, shapes in SHAPES_2D.items():
        for channels, side, kernel, stride in shapes:
            options = {"stride": stride, "padding": kernel // 2}
            x = torch.randn(batch, channels, side, side, device=device, dtype=dtype)
            weight = torch.randn(channels, 1, kernel, kernel, device=device, dtype=dtype)
            formats = {
                "default": lambda t: t.contiguous(),
                "channels_last": lambda t: t.contiguous(memory_format=torch.channels_last),
            }
            row = measure(
                clock,
                x,
                weight,
                None if device == "cuda" else lambda x, w, o=options: depthwise_conv2d(x, w, **o),
                lambda x, w, o=options: F.conv2d(x, w, groups=x.shape[1], **o),
                formats,
            )
            name = f"{model} {channels}x{side}x{side} k{kernel} s{stride}"
            yield {"what": name, "batch": batch, "dtype": str(dtype)[6:]} | row


def sequences(clock, batch, device, dtype):
    for dilation in DILATIONS:
        options = {"dilation": dilation, "padding": dilation}
        x = torch.randn(batch, 512, LENGTH, device=device, dtype=dtype)
        weight = torch.randn(512, 1, 3, device=device, dtype=dtype)
        row = measure(
            clock,
            x,
            weight,
            None if device == "cuda" else lambda x, w, o=options: depthwise_conv1d(x, w, **o),
            lambda x, w, o=options: F.conv1d(x, w, groups=x.shape[1], **o),
            {"default": lambda t: t.contiguous()},
        )
        name = f"conv_tasnet 512x{LENGTH} k3 dilation {dilation}"
        yield {"what": name, "batch": batch, "dtype": str(dtype)[6:]} | row


def geometric_mean(rows, what):
    """A last row with the geometric means of the ratios."""
    result = dict.fromkeys(rows[0]) | {"what": f"geometric mean of {what}"}
    for name in ("forward_over_copy", "forward_over_limit", "torch_over_ours_both"):
        if name in rows[0]:
            logs = [math.log(row[name]) for row in rows]
            result[name] = math.exp(sum(logs) / len(logs))
    return result


def _rounded(row):
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["images", "sequences"])
    options = parser.parse_args()
    clock, dtype = Clock(options.device, options.rounds), getattr(torch, options.dtype)
    keep_freed_memory()
    rows = []
    if options.only != "sequences":
        found = list(images(clock, options.batch, options.device, dtype))
        rows += [*found, geometric_mean(found, "images")]
    if options.only != "images":
        found = list(sequences(clock, 2, options.device, dtype))
        rows += [*found, geometric_mean(found, "sequences")]
    for row in rows:
        row |= _rounded(row)
        row["runs_on"] = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    parts = ["depthwise", *(p for p in (options.only,) if p)]
    parts += [v for v in (options.device, options.dtype) if v not in ("cpu", "float32")]
    write_results("_".join(parts), rows)


if __name__ == "__main__":
    main()
