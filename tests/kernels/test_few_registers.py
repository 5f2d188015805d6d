"""A processor with AVX2 and no more: tiles a quarter as wide, and the same results."""

import os
import platform
import subprocess
import sys
import textwrap

import pytest

STEP = """
    import copy

    import torch
    from torch import nn

    from convatlas.kernels import fast_layers
    from convatlas.kernels.codegen.gemm_tile import TILE_VECTORS

    assert TILE_VECTORS == 1
    torch.manual_seed(0)
    line = lambda conv: nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU6())
    plain = nn.Sequential(
        line(nn.Conv2d(3, 20, 3, 2, 1, bias=False)),
        line(nn.Conv2d(20, 96, 1, bias=False)),
        line(nn.Conv2d(96, 96, 3, 1, 1, groups=96, bias=False)),
        line(nn.Conv2d(96, 32, 1, bias=False)),
    )
    fast = fast_layers(copy.deepcopy(plain))
    x = torch.rand(2, 3, 30, 26)
    wide = plain.double()(x.double())
    found = fast(x)
    slope = torch.randn_like(found)
    found.backward(slope)
    wide.backward(slope.double())
    torch.testing.assert_close(found.double(), wide, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        scale = theirs.grad.abs().max().clamp_min(1)  # one scale's gradient is zero by symmetry
        error = (ours.grad - theirs.grad).abs().max()
        assert error < 1e-5 * scale
    names, left = set(), [found.grad_fn]
    while left:
        node = left.pop()
        names.add(node.name())
        left += [parent for parent, _ in node.next_functions if parent is not None]
    assert {"_FusedConvBackward", "_StemConvBackward"} <= names
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="code for AVX2")
def test_a_step_is_fused_and_right_with_sixteen_registers_of_eight_floats():
    target = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+f16c,+bmi,+bmi2"}
    call = [sys.executable, "-c", textwrap.dedent(STEP)]
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | target)
    assert done.returncode == 0, done.stderr
