"""Convolutions with the norms on both sides, beside the same formulas by torch in float64.

Widths of maps share what is compiled for depthwise filters (`test_depthwise.py`).
"""

import pytest
import torch
import torch.nn.functional as F

from convatlas.kernels.codegen.gemm_tile import TILE_VECTORS
from convatlas.kernels.compiled.gemm import pack_panels
from convatlas.kernels.launch.pointwise import _matrix
from convatlas.kernels.launch.workspace import KIND
from convatlas.kernels.layers.fused_conv import (
    Norm,
    fused_depthwise_conv,
    fused_pointwise_conv,
    normalise,
    with_statistics,
)

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}
EPS = 1e-3


def inputs(shape, weight_shape):
    """A map in channels_last, statistics, scale, shift and weights."""
    channels = shape[1]
    x = (torch.randn(shape) * 2 + 1).to(memory_format=torch.channels_last)
    stats = torch.stack((torch.randn(channels), torch.rand(channels), torch.rand(channels) + 0.5))
    given = [x, stats, torch.rand(channels) + 0.5, torch.randn(channels)]
    return [t.requires_grad_() for t in (*given, torch.randn(weight_shape))]


def plain_norm(x, stats, scale, shift, act):
    y = (x - stats[0][:, None, None]) * (stats[2] * scale)[:, None, None]
    return ACTIVATIONS[act](y + shift[:, None, None])


def plain_statistics(y):
    """Mean, unbiased variance (no gradient) and 1 / deviation, as batch norm defines them."""
    mean = y.mean((0, 2, 3))
    variance = (y - mean[:, None, None]).pow(2).mean((0, 2, 3))
    unbiased = y.detach().var((0, 2, 3))
    return torch.stack((mean, unbiased, (variance + EPS) ** -0.5))


def compare(found, given, plain, error, within=1e-5):
    """Values and all gradients against torch in float64; `plain` takes what `given` holds."""
    wide = [t.detach().double().requires_grad_() for t in given]
    expected = plain(*wide)
    slopes = [torch.randn_like(y) for y in found]
    if len(slopes) == 2:
        slopes[1][1] = 0  # the variance only feeds running statistics
    ours = torch.autograd.grad(found, given, slopes)
    theirs = torch.autograd.grad(expected, wide, [s.double() for s in slopes])
    for a, b in zip((*found, *ours), (*expected, *theirs), strict=True):
        assert error(a, b) < within


def check_unit(shape, weight_shape, act, normed, error, **sizes):
    given = inputs(shape, weight_shape)
    given = given if normed else [given[0], given[-1]]
    norm = Norm(*given[1:4], act) if normed else None
    if sizes:
        y, stats = fused_depthwise_conv(given[0], norm, given[-1], eps=EPS, **sizes)
    else:
        y, stats = fused_pointwise_conv(given[0], norm, given[-1], eps=EPS)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert "_FusedConv" in y.grad_fn.name()

    def plain(x, *rest):
        x = plain_norm(x, *rest[:3], act) if normed else x
        y = F.conv2d(x, rest[-1], groups=shape[1] if sizes else 1, **sizes)
        return y, plain_statistics(y)

    compare((y, stats), given, plain, error)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize(
    ("shape", "out"),
    [
        ((2, 32, 9, 7), 24),
        ((3, 24, 10, 10), 144),
        ((3, 17, 3, 3), 5),  # no whole vector, no whole tile
        ((1, 3, 3, 4), 2),
        ((2, 200, 5, 5), 328),
        ((2, 512, 3, 4), 520),  # weights that are turned sliver by sliver
    ],
)
def test_pointwise_equals_norm_then_convolution(shape, out, act, normed, relative_error):
    check_unit(shape, (out, shape[1], 1, 1), act, normed, relative_error)


@pytest.mark.parametrize(("images", "width", "stride"), [(2, 63, 1), (6, 42, 2)])
def test_large_maps_that_go_around_the_caches_are_the_same(images, width, stride, relative_error):
    sizes = {"stride": (stride,) * 2, "padding": (1, 1), "dilation": (1, 1)}
    check_unit((images, 64, 66, width), (64, 1, 3, 3), "relu", True, relative_error, **sizes)


@pytest.mark.parametrize(("shape", "out"), [((3, 48, 40, 41), 112), ((3, 80, 60, 41), 64)])
def test_large_maps_of_many_blocks_are_the_same(shape, out, relative_error):
    check_unit(shape, (out, shape[1], 1, 1), "relu6", True, relative_error)


@pytest.mark.parametrize(
    ("shape", "kernel", "dilation", "stride", "normed"),
    [
        ((2, 48, 18, 13), 3, 1, 1, True),  # strips write both results, and overlap
        ((2, 48, 18, 13), 3, 1, 1, False),
        ((2, 48, 18, 13), 3, 1, 2, True),
        ((1, 32, 9, 11), 5, 1, 2, True),
        ((2, 24, 13, 18), 5, 1, 1, False),  # channels in no whole vectors
        ((2, 24, 14, 11), 3, 2, 2, False),
        ((3, 7, 2, 2), 5, 1, 1, True),  # the map is smaller than the kernel
        ((1, 40, 9, 9), 4, 1, 3, True),
    ],
)
def test_depthwise_equals_norm_then_convolution(
    shape, kernel, dilation, stride, normed, relative_error
):
    sizes = {"stride": (stride,) * 2, "dilation": (dilation,) * 2}
    sizes["padding"] = (dilation * (kernel // 2),) * 2
    weight = (shape[1], 1, kernel, kernel)
    check_unit(shape, weight, "relu6", normed, relative_error, **sizes)


def test_maps_of_many_blocks_that_go_around_the_caches_are_the_same(relative_error):
    shape = (2, 96, 112, 91)
    sizes = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    check_unit(shape, (96, 1, 3, 3), "relu6", True, relative_error, **sizes)
    check_unit(shape, (16, 96, 1, 1), "relu6", True, relative_error)


def test_padding_wider_than_the_map_gives_rows_of_zeros(relative_error):
    sizes = {"stride": (1, 1), "padding": (4, 4), "dilation": (1, 1)}
    check_unit((3, 20, 7, 7), (20, 1, 3, 3), "silu", True, relative_error, **sizes)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_a_norm_at_given_statistics_equals_its_formula(act, relative_error):
    given = inputs((3, 21, 6, 5), (1,))[:4]
    y = normalise(given[0], Norm(*given[1:], act))
    compare((y,), given, lambda *wide: (plain_norm(*wide, act),), relative_error)


def test_a_residual_is_added_behind_the_norm(relative_error):
    given = [*inputs((3, 24, 6, 5), (1,))[:4], torch.randn(3, 24, 6, 5, requires_grad=True)]
    y = normalise(given[0], Norm(*given[1:4], "identity"), given[4])

    def plain(*wide):
        return (plain_norm(*wide[:4], "identity") + wide[4],)

    compare((y,), given, plain, relative_error)


def test_statistics_pull_on_every_value(relative_error):
    y = inputs((3, 21, 6, 5), (1,))[0]
    found = with_statistics(y, eps=EPS)
    compare(found, [y], lambda wide: (wide, plain_statistics(wide)), relative_error)


def test_variance_holds_where_the_mean_is_a_thousand_times_larger(relative_error):
    x = (torch.randn(4, 16, 30, 30) + 1000).to(memory_format=torch.channels_last)
    weight = torch.eye(16)[:, :, None, None]
    y, stats = fused_pointwise_conv(x, None, weight, eps=EPS)
    assert relative_error(stats[1], y.double().var((0, 2, 3))) < 1e-4


def test_second_derivatives_are_torchs():
    given = inputs((2, 16, 5, 5), (8, 16, 1, 1))

    def penalty(function):
        y, stats = function(*given)
        slopes = torch.autograd.grad(y.pow(2).sum() + stats[2].sum(), given[:2], create_graph=True)
        return torch.autograd.grad(sum(s.pow(2).sum() for s in slopes), given[4])[0]

    def ours(x, stats, scale, shift, weight):
        return fused_pointwise_conv(x, Norm(stats, scale, shift, "silu"), weight, eps=EPS)

    def plain(x, stats, scale, shift, weight):
        y = F.conv2d(plain_norm(x, stats, scale, shift, "silu"), weight)
        return y, plain_statistics(y)

    torch.testing.assert_close(penalty(ours), penalty(plain), rtol=1e-3, atol=1e-2)


def test_the_same_input_gives_the_same_bits():
    given = inputs((4, 48, 30, 30), (64, 48, 1, 1))
    y, stats = fused_pointwise_conv(given[0], Norm(*given[1:4], "relu"), given[4], eps=EPS)
    slopes = torch.randn_like(y), torch.randn_like(stats)
    runs = [torch.autograd.grad((y, stats), given, slopes, retain_graph=True) for _ in range(3)]
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_only_the_gradients_that_are_asked_for_are_made():
    x, *_, weight = inputs((2, 16, 5, 5), (8, 16, 1, 1))
    y, _ = fused_pointwise_conv(x.detach(), None, weight, eps=EPS)
    y.sum().backward()
    assert weight.grad is not None
    assert x.grad is None


@pytest.mark.parametrize(("n", "k"), [(1, 1), (16, 64), (37, 50), (100, 33), (70, 130), (128, 16)])
def test_slivers_hold_the_weights_vector_by_vector(n, k):
    weight = torch.randn(n, k, 1, 1)
    for columns_first, matrix in ((True, weight[:, :, 0, 0].t()), (False, weight[:, :, 0, 0])):
        expected = []
        for start in range(0, matrix.shape[1], TILE_VECTORS * 16):
            part = matrix[:, start : start + TILE_VECTORS * 16]
            expected.append(F.pad(part, (0, -part.shape[1] % 16)).flatten())
        expected = torch.cat(expected)
        found = torch.empty_like(expected)
        given = (*_matrix(weight, columns_first), found.data_ptr())
        pack_panels(torch.get_num_threads(), *given, KIND)
        assert torch.equal(found, expected)
