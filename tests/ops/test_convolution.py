import pytest
import torch
from torch import nn

from convatlas import cost
from convatlas.ops import Conv, conv, flip
from convatlas.ops.arithmetic import padding_sides

MATRIX = torch.tensor(
    [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
)[None, None].double()
KERNEL = torch.tensor([[0, 1, 2], [2, 2, 0], [0, 1, 2]])[None, None].double()


def test_the_example_of_the_sheet():
    assert conv(MATRIX, KERNEL)[0, 0].tolist() == [[12, 12, 17], [10, 17, 19], [9, 6, 14]]


def test_flipped_it_is_the_convolution_of_textbooks():
    """Texts state the flipped form and use the other: both are here, and they differ."""
    signal, kernel = torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 5, 6])
    full = conv(signal[None, None], flip(kernel[None, None]), padding="full")
    # (1 + 2z + 3z^2)(4 + 5z + 6z^2)
    assert full.flatten().tolist() == [4, 13, 28, 27, 18]
    assert conv(signal[None, None], kernel[None, None], padding="full").flatten().tolist() != [
        4,
        13,
        28,
        27,
        18,
    ]


CASES = [  # size, kernel, stride, padding, dilation, groups
    ((7,), (3,), 2, "same", 1, 1),
    ((6,), (2,), 1, "causal", 2, 2),
    ((5,), (4,), 1, "same", 1, 1),
    ((5, 4), (3, 2), (2, 1), ((1, 0), "same"), (1, 2), 2),
    ((4, 4), (3, 3), 1, "full", 1, 1),
    ((3, 4, 3), (2, 3, 1), (1, 2, 1), (1, "valid", 0), 1, 2),
]


@pytest.mark.parametrize("mode", ["zeros", "constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "groups"), CASES)
def test_equals_the_slow_plain_version(
    draw, slow_conv, size, kernel, stride, padding, dilation, groups, mode
):
    dims = len(size)
    x, weight = draw(2, 2, *size).detach(), draw(4, 2 // groups, *kernel).detach()
    each = {
        name: v if isinstance(v, tuple) else (v,) * dims
        for name, v in (("stride", stride), ("padding", padding), ("dilation", dilation))
    }
    sides = [padding_sides(*axis) for axis in zip(each["padding"], kernel, each["dilation"])]  # noqa: B905  equally long by construction
    value = 2.5 if mode == "constant" else 0.0
    expected = slow_conv(
        x,
        weight,
        stride=each["stride"],
        sides=sides,
        dilation=each["dilation"],
        groups=groups,
        mode=mode,
        value=value,
    )
    got = conv(
        x,
        weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=mode,
        value=value,
    )
    torch.testing.assert_close(got, expected)


def test_circular_equals_the_product_of_fourier_transforms(draw):
    x, weight = draw(1, 1, 8).detach(), draw(1, 1, 3).detach()
    got = conv(x, weight, padding=((0, 2),), padding_mode="circular")
    # Cross-correlation: the transform of the kernel is conjugated.
    product = torch.fft.fft(x[0, 0]) * torch.fft.fft(weight[0, 0], n=8).conj()
    torch.testing.assert_close(got[0, 0], torch.fft.ifft(product).real)


def test_dilation_is_a_kernel_with_zeros_between(draw):
    x, weight = draw(2, 3, 9).detach(), draw(4, 3, 3).detach()
    holes = weight.new_zeros(4, 3, 7)
    holes[..., ::3] = weight
    torch.testing.assert_close(conv(x, weight, dilation=3), conv(x, holes))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_gradients(draw, mode):
    x, weight, bias = draw(1, 2, 4, 4), draw(2, 1, 3, 3), draw(2)

    def run(*inputs):
        return conv(*inputs, padding="same", padding_mode=mode, groups=2)

    assert torch.autograd.gradcheck(run, (x, weight, bias))


@pytest.mark.parametrize(
    ("size", "kernel", "groups"), [((9,), 3, 1), ((5, 6), 3, 2), ((3, 4, 5), 2, 1)]
)
def test_cost_is_the_formula(draw, size, kernel, groups):
    x, weight = draw(2, 4, *size), draw(6, 4 // groups, *[kernel] * len(size))
    positions = torch.Size(size).numel()
    counted = cost.macs(conv, x, weight, padding="same", groups=groups)
    assert counted == 2 * positions * 4 * 6 * kernel ** len(size) // groups


@pytest.mark.parametrize(("dims", "peer"), [(1, nn.Conv1d), (2, nn.Conv2d), (3, nn.Conv3d)])
def test_the_module_has_torchs_shapes_and_answers(dims, peer):
    torch.manual_seed(0)
    ours = Conv(4, 6, 3, dims=dims, stride=2, padding=1, groups=2)
    theirs = peer(4, 6, 3, stride=2, padding=1, groups=2)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 4, *[5] * dims)
    torch.testing.assert_close(ours(x), theirs(x))
    bound = (2 * 3**dims) ** -0.5
    assert 0.5 * bound < ours.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((1, 3, 5), (4, 3, 3, 3)), {}, r"the same 1 to 3 axes, got \(1, 3, 5\) and"),
        (((1, 4, 5), (4, 3, 3)), {}, r"channels / groups = 4 / 1 = 4 channels, got 3"),
        (((1, 4, 5), (3, 2, 3)), {"groups": 2}, "out_channels must be a multiple of groups, got 3"),
        (((1, 1, 2), (1, 1, 5)), {}, r"spans 5 positions, but size 2 padded by 0 \+ 0 has 2"),
        (((1, 1, 4, 4), (1, 1, 3, 3)), {"stride": (1, 2, 3)}, "one value for each of 2 axes"),
        (((1, 1, 3), (1, 1, 3)), {"padding": 3, "padding_mode": "reflect"}, "0 to 2 positions"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        conv(*map(torch.zeros, shapes), **options)
