import subprocess
import sys
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from convatlas.ops import arithmetic as a


def fits(size, kernel, padding, dilation):
    return dilation * (kernel - 1) + 1 <= size + 2 * padding


GRID = [
    (i, k, s, p, d)
    for i, k, s, p, d in product((1, 4, 5, 7), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2))
    if fits(i, k, p, d)
]


def test_output_size_is_what_torch_gives():
    for i, k, s, p, d in GRID:
        y = F.conv1d(torch.zeros(1, 1, i), torch.zeros(1, 1, k), stride=s, padding=p, dilation=d)
        assert a.output_size(i, k, stride=s, padding=p, dilation=d) == y.shape[2], (i, k, s, p, d)


def test_transposed_size_is_what_torch_gives_and_leads_back():
    for i, k, s, p, d in GRID:
        small = a.output_size(i, k, stride=s, padding=p, dilation=d)
        extra = a.output_padding_for(i, k, stride=s, padding=p, dilation=d)
        got = a.transposed_size(small, k, stride=s, padding=p, output_padding=extra, dilation=d)
        y = F.conv_transpose1d(
            torch.zeros(1, 1, small),
            torch.zeros(1, 1, k),
            stride=s,
            padding=p,
            output_padding=extra,
            dilation=d,
        )
        assert got == y.shape[2] == i, (i, k, s, p, d)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooled_size_is_what_torch_gives(ceil_mode):
    for i, k, s, p, d in GRID:
        if 2 * p > k:
            continue
        y = F.max_pool1d(torch.zeros(1, 1, i), k, s, p, d, ceil_mode=ceil_mode)
        got = a.pooled_size(i, k, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode)
        assert got == y.shape[2], (i, k, s, p, d)


def test_same_causal_and_full_paddings():
    for i, k, s, d in product((4, 5, 9), (1, 2, 3, 4), (1, 2, 3), (1, 2)):
        assert a.output_size(i, k, stride=s, padding="same", dilation=d) == -(-i // s)
        assert a.output_size(i, k, padding="causal", dilation=d) == i
        assert a.output_size(i, k, padding="full", dilation=d) == i + d * (k - 1)
    assert a.padding_sides("same", 4) == (1, 2)  # an even kernel needs unequal sides
    assert a.padding_sides("causal", 3, 4) == (8, 0)
    assert a.padding_sides((2, 0), 3) == (2, 0)


def test_worked_sizes_of_the_sheet():
    assert a.transposed_size(4, 3, stride=2, padding=1) == 7
    assert a.transposed_size(4, 3, stride=2, padding=1, output_padding=1) == 8
    assert a.receptive_field([(3, 1, d) for d in (1, 2, 4, 8, 16)]) == 63
    assert a.receptive_field([(3, 1, d) for d in (1, 2, 4, 8, 16)] * 6) == 373  # ByteNet
    assert a.effective_kernel(3, 4) == 9
    assert a.inserted_size(4, 2) == 7
    assert a.transposed_padding(3, 1) == 1


def test_slips_of_the_seeds_have_the_right_value():
    assert a.pooled_size(4, 2) == 2  # a text shows this picture and calls it 8 x 8
    assert a.pooled_size(8, 2) == 4
    # MobileNet's table gives its last depthwise layer stride 2 and 7 x 7 on both sides.
    assert a.output_size(7, 3, stride=1, padding=1) == 7
    assert a.output_size(7, 3, stride=2, padding=1) == 4


def test_receptive_field_is_what_gradients_reach():
    layers = [(3, 2, 1), (2, 1, 3), (5, 2, 1)]
    x = torch.ones(1, 1, 64, requires_grad=True)
    y = x
    for k, s, d in layers:
        y = F.conv1d(y, torch.ones(1, 1, k), stride=s, dilation=d)
    y[0, 0, 2].backward()
    assert x.grad is not None
    assert int((x.grad != 0).sum()) <= a.receptive_field(layers)
    reached = x.grad[0, 0].nonzero().flatten()
    assert int(reached[-1] - reached[0]) + 1 == a.receptive_field(layers) == 1 + 2 + 6 + 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: a.output_size(4, 5, padding=1, dilation=2),
            r"kernel 5 with dilation 2 spans 9 positions, but size 4 padded by 1 \+ 1 has 6",
        ),
        (lambda: a.output_size(0, 1), "size must be 1 or more, got 0"),
        (lambda: a.output_size(4, 3, stride=0), "stride must be 1 or more, got 0"),
        (lambda: a.output_size(4, 3, padding="sam"), "one of valid, same, causal, full, got 'sam'"),
        (lambda: a.output_size(4, 3, padding=-1), "none below 0, got -1"),
        (lambda: a.transposed_size(1, 1, padding=1), "use padding up to 0"),
        (lambda: a.transposed_size(4, 3, stride=2, output_padding=2), "from 0 to 1 with stride 2"),
        (lambda: a.transposed_size(4, 3, padding=-1), "padding must not be below 0"),
        (lambda: a.pooled_size(4, 2, padding=2), "at most half of the window, got 2 for 2"),
        (lambda: a.receptive_field([(3, 1, 1, 1)]), "a layer is kernel, stride, dilation"),
        (lambda: a.check_groups("here", 4, 6, 4), "out_channels must be a multiple of groups"),
        (lambda: a.each_axis((1, 2, 3), 2, "stride"), r"stride: one value for each of 2 axes"),
    ],
)
def test_impossible_sizes_name_the_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_transposed_padding_advice_holds():
    with pytest.raises(ValueError, match="use padding up to 4"):
        a.transposed_size(4, 3, stride=2, padding=5)
    assert a.transposed_size(4, 3, stride=2, padding=4) == 1


def test_no_torch_is_imported_for_numbers():
    code = "import convatlas.ops.arithmetic, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
