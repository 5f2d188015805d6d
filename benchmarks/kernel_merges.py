"""What it would cost to merge parts of the kernel room: each part beside what would replace it.

Forward and back of a layer of MobileNet V2, the ways by turns in one process; seconds of the
processor, which other work on the machine disturbs least.
"""

import statistics
import time

import torch
import torch.nn.functional as F

from convatlas.kernels import batch_norm_act, depthwise_conv2d
from convatlas.kernels.layers.fused_conv import (
    Norm,
    fused_depthwise_conv,
    normalise,
    with_statistics,
)
from machine import write_results

ROUNDS = 25
SHAPES = ((8, 96, 48, 48), (8, 384, 12, 12))
ONES = (1, 1)


def rows_of(shape, dtype=torch.float32):
    x = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
    return x.requires_grad_()


def depthwise(shape):
    """A depthwise convolution by itself, and as a fused one without norms."""
    x, dy = rows_of(shape), torch.randn(shape).to(memory_format=torch.channels_last)
    weight = torch.randn(shape[1], 1, 3, 3, requires_grad=True)

    def merged():
        sizes = {"stride": ONES, "padding": ONES, "dilation": ONES}
        y, _ = fused_depthwise_conv(x, None, weight, eps=1e-5, **sizes)
        return torch.autograd.grad(y, (x, weight), dy)

    return lambda: torch.autograd.grad(
        depthwise_conv2d(x, weight, padding=1), (x, weight), dy
    ), merged


def norm(shape):
    """Batch norm with its activation, whole and from its halves."""
    x, dy = rows_of(shape), torch.randn(shape).to(memory_format=torch.channels_last)
    scale, shift = (torch.rand(shape[1], requires_grad=True) for _ in range(2))

    def whole():
        y = batch_norm_act(x, None, None, scale, shift, training=True, act="relu6")
        return torch.autograd.grad(y, (x, scale, shift), dy)

    def merged():
        y, stats = with_statistics(x, eps=1e-5)
        y = normalise(y, Norm(stats, scale, shift, "relu6"))
        return torch.autograd.grad(y, (x, scale, shift), dy)

    return whole, merged


def bfloat16(shape):
    """A depthwise convolution in bfloat16, and torch's."""
    x, dy = rows_of(shape, torch.bfloat16), rows_of(shape, torch.bfloat16).detach()
    weight = torch.randn(shape[1], 1, 3, 3, dtype=torch.bfloat16, requires_grad=True)

    def by_torch():
        y = F.conv2d(x, weight, padding=1, groups=shape[1])
        return torch.autograd.grad(y, (x, weight), dy)

    return lambda: torch.autograd.grad(
        depthwise_conv2d(x, weight, padding=1), (x, weight), dy
    ), by_torch


def seconds(call):
    call()  # the one before has left other data in the caches
    start = time.thread_time()
    call()
    return time.thread_time() - start


def main():
    torch.set_num_threads(1)
    rows = []
    for merge, make in {"depthwise": depthwise, "norm": norm, "bfloat16": bfloat16}.items():
        for shape in SHAPES:
            ways = make(shape)
            times = [[], []]
            for _ in range(ROUNDS):
                for way, found in zip(ways, times, strict=True):
                    found.append(seconds(way))
            apart, merged = (statistics.median(found) for found in times)
            row = {"merge": merge, "shape": "x".join(map(str, shape))}
            row |= {"apart_ms": round(apart * 1e3, 2), "merged_ms": round(merged * 1e3, 2)}
            rows.append(row | {"merged_over_apart": round(merged / apart, 2), "rounds": ROUNDS})
    write_results("kernel_merges", rows)


if __name__ == "__main__":
    main()
