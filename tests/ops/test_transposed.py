import pytest
import torch
from torch import nn

from convatlas import cost
from convatlas.ops import TransposedConv, conv, transposed_conv, zero_inserted_conv

CASES = [  # size, kernel, stride, padding, output_padding, dilation, groups
    ((4,), (3,), 2, 1, 0, 1, 1),
    ((4,), (3,), 2, 1, 1, 1, 2),
    ((3, 4), (2, 3), (3, 1), (0, 2), (2, 0), (1, 2), 2),
    ((3, 3), (1, 1), 2, 0, 1, 1, 1),
    ((3, 3), (2, 2), 2, 1, 0, 1, 1),
    ((5,), (1,), 2, 1, 0, 1, 1),  # d (k - 1) - p is below 0: the stretched input is cut
    ((2, 3, 2), (3, 2, 2), 2, 1, 1, 1, 1),
]
NAMES = ("stride", "padding", "output_padding", "dilation", "groups")


@pytest.mark.parametrize("case", CASES)
def test_equals_convolving_the_stretched_input(draw, case):
    size, kernel, *rest = case
    options = dict(zip(NAMES, rest, strict=True))
    x, weight = draw(2, 4, *size).detach(), draw(4, 6 // options["groups"], *kernel).detach()
    got = transposed_conv(x, weight, **options)
    torch.testing.assert_close(got, zero_inserted_conv(x, weight, **options))


def test_equals_the_gradient_of_the_convolution(draw):
    x, weight = draw(2, 3, 8), draw(4, 3, 3)
    y = conv(x, weight, stride=2, padding=1)
    slope = draw(*y.shape).detach()
    (expected,) = torch.autograd.grad(y, x, slope)
    got = transposed_conv(slope, weight, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(got, expected)


def test_restores_the_shape_and_nothing_else(draw):
    """It is not the inverse, whatever its nickname "deconvolution" says."""
    x, weight = draw(1, 1, 6, 6).detach(), draw(1, 1, 3, 3).detach()
    back = transposed_conv(conv(x, weight), weight)
    assert back.shape == x.shape
    assert (back - x).abs().max() > 0.1


def test_sizes_of_the_sheet():
    x, weight = torch.zeros(1, 1, 4), torch.zeros(1, 1, 3)
    assert transposed_conv(x, weight, stride=2, padding=1).shape[2] == 7
    assert transposed_conv(x, weight, stride=2, padding=1, output_padding=1).shape[2] == 8


def test_gradients(draw):
    def run(*inputs):
        return transposed_conv(*inputs, stride=2, padding=1, groups=2)

    assert torch.autograd.gradcheck(run, (draw(1, 2, 3, 3), draw(2, 1, 3, 3), draw(2)))
    assert torch.autograd.gradcheck(
        lambda *inputs: zero_inserted_conv(*inputs, stride=2), (draw(1, 2, 3), draw(2, 1, 3))
    )


def test_cost_is_counted_by_the_input(draw):
    x, weight = draw(2, 4, 3, 5), draw(4, 3, 3, 3)
    counted = cost.macs(transposed_conv, x, weight, stride=2, groups=2)
    assert counted == 2 * 15 * 4 * 6 * 9 // 2
    out = transposed_conv(x, weight, stride=2, groups=2).shape
    stretched = cost.macs(zero_inserted_conv, x, weight, stride=2, groups=2)
    assert stretched == 2 * out[2:].numel() * 4 * 6 * 9 // 2


def test_the_module_has_torchs_shapes_and_answers():
    torch.manual_seed(0)
    ours = TransposedConv(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
    theirs = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 4, 3, 4)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((1, 3, 4), (4, 2, 3)), {}, "must have the same c and 1 to 3 axes"),
        (((1, 4, 4), (4, 2, 3)), {"output_padding": 1}, "from 0 to 0 with stride 1"),
        (((1, 3, 4), (3, 2, 3)), {"groups": 2}, "in_channels must be a multiple of groups"),
        (((1, 1, 1), (1, 1, 1)), {"padding": 1}, "leave -1 positions; use padding up to 0"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        transposed_conv(*map(torch.zeros, shapes), **options)
