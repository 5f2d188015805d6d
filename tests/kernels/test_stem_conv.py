"""The first convolution of a network beside torch's in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.kernels import fast_layers
from convatlas.kernels.layers.stem_conv import fused_stem_conv

EPS = 1e-3


def plain(x, weight, stride, padding):
    y = F.conv2d(x, weight, None, stride, padding)
    mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
    return y, mean, (variance + EPS) ** -0.5


@pytest.mark.parametrize(
    ("shape", "weight_shape", "stride", "padding"),
    [
        ((2, 3, 21, 34), (32, 3, 3, 3), 2, (1, 1)),  # whole tiles and a rest
        ((3, 3, 20, 70), (24, 3, 3, 3), 1, (1, 1)),  # channels in no whole vectors
        ((1, 1, 9, 9), (6, 1, 5, 5), 1, (0, 0)),
        ((2, 4, 15, 11), (16, 4, 7, 3), 2, (3, 0)),
        ((1, 2, 3, 3), (5, 2, 2, 4), 2, (2, 5)),  # the padding is wider than the image
        ((2, 3, 9, 401), (64, 3, 7, 7), 1, (3, 3)),  # a row is more than a block
    ],
)
def test_it_equals_the_convolution_and_its_statistics(
    shape, weight_shape, stride, padding, relative_error
):
    x, weight = torch.randn(shape) + 0.5, torch.randn(weight_shape, requires_grad=True)
    y, stats = fused_stem_conv(x, weight, eps=EPS, stride=(stride,) * 2, padding=padding)
    wide = weight.detach().double().requires_grad_()
    expected = plain(x.double(), wide, stride, padding)
    for a, b in zip((y, stats[0], stats[2]), expected, strict=True):
        assert relative_error(a, b) < 1e-5
    slopes = [torch.randn_like(t) for t in expected]
    dstats = torch.stack((slopes[1], torch.zeros_like(slopes[1]), slopes[2])).float()
    (ours,) = torch.autograd.grad((y, stats), weight, (slopes[0].float(), dstats))
    (theirs,) = torch.autograd.grad(expected, wide, slopes)
    assert relative_error(ours, theirs) < 1e-5


def test_its_gradient_may_be_differentiated_again(relative_error):
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3, requires_grad=True)
    y, _ = fused_stem_conv(x, weight, eps=EPS, stride=(1, 1), padding=(1, 1))
    (first,) = torch.autograd.grad(y.pow(2).sum(), weight, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), weight)
    wide = weight.detach().double().requires_grad_()
    z = F.conv2d(x.double(), wide, None, 1, 1).pow(2).sum()
    (expected,) = torch.autograd.grad(z, wide, create_graph=True)
    (wanted,) = torch.autograd.grad(expected.sum(), wide)
    assert relative_error(second, wanted) < 1e-5


@pytest.mark.parametrize("needs", [False, True])
def test_a_network_begins_with_it_unless_its_input_needs_a_gradient(needs):
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    fast_layers(layers)
    x = torch.randn(2, 3, 9, 9, requires_grad=needs)
    y = layers(x)  # steps of the way back live as long as their result
    names, left = set(), [y.grad_fn]
    while left:
        node = left.pop()
        names.add(node.name())
        left += [parent for parent, _ in node.next_functions if parent is not None]
    assert ("_StemConvBackward" in names) is not needs
    assert ("_StatisticsBackward" in names) is needs  # torch convolves, and the norm is still ours
