"""Multiply-adds of single operators against formulas written out by hand."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.cost import count, macs
from convatlas.cost.shapes import SHAPES

N, C, D = 2, 4, 6


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (3, 2, 0, 2)])
def test_convolution_costs_kernel_times_channels_at_every_output(
    dims, kernel, stride, padding, dilation
):
    size = 9
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    layer = conv(C, D, kernel, stride=stride, padding=padding, dilation=dilation)
    side = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    expected = N * side**dims * D * C * kernel**dims
    assert count(layer, (N, C, *[size] * dims)).macs == expected


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "output_padding"), [(1, 0, 0), (2, 1, 1)])
def test_transposed_convolution_costs_by_its_input_size(dims, stride, padding, output_padding):
    size, kernel = 5, 3
    conv = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    layer = conv(C, D, kernel, stride=stride, padding=padding, output_padding=output_padding)
    assert count(layer, (N, C, *[size] * dims)).macs == N * size**dims * C * D * kernel**dims


def test_transposed_convolution_costs_what_the_convolution_does_that_it_turns_around():
    forward = macs(nn.Conv2d(C, D, 3, padding=1), torch.empty(1, C, 8, 8))
    back = macs(nn.ConvTranspose2d(D, C, 3, padding=1), torch.empty(1, D, 8, 8))
    assert back == forward


@pytest.mark.parametrize("transposed", [False, True])
def test_groups_divide_the_cost(transposed):
    conv = nn.ConvTranspose2d if transposed else nn.Conv2d
    whole = count(conv(8, 16, 3, padding=1), (1, 8, 7, 7)).macs
    assert count(conv(8, 16, 3, padding=1, groups=4), (1, 8, 7, 7)).macs == whole // 4


def test_unequal_kernel_stride_and_input():
    layer = nn.Conv2d(3, 5, (3, 1), stride=(2, 1), padding=(1, 0))
    assert count(layer, (1, 3, 10, 7)).macs == (5 * 7) * 5 * 3 * 3


def test_same_padding_is_counted_at_the_size_it_gives():
    assert count(nn.Conv2d(3, 5, 5, padding="same"), (1, 3, 10, 7)).macs == 10 * 7 * 5 * 3 * 25


@pytest.mark.parametrize("bias", [True, False])
def test_linear_costs_in_times_out_for_every_row_and_bias_is_free(bias):
    assert count(nn.Linear(7, 11, bias=bias), (2, 3, 5, 7)).macs == 2 * 3 * 5 * 7 * 11


L, M, K = 3, 5, 7


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (torch.mm, [(L, M), (M, K)], L * M * K),
        (torch.matmul, [(2, 4, L, M), (M, K)], 8 * L * M * K),
        (torch.matmul, [(2, 1, L, M), (4, M, K)], 8 * L * M * K),
        (torch.matmul, [(M,), (M, K)], M * K),
        (torch.matmul, [(L, M), (M,)], L * M),
        (torch.matmul, [(M,), (M,)], M),
        (torch.bmm, [(2, L, M), (2, M, K)], 2 * L * M * K),
        (torch.mv, [(L, M), (M,)], L * M),
        (torch.dot, [(M,), (M,)], M),
        (torch.addmm, [(L, K), (L, M), (M, K)], L * M * K),
        (torch.baddbmm, [(2, L, K), (2, L, M), (2, M, K)], 2 * L * M * K),
        (torch.addbmm, [(L, K), (2, L, M), (2, M, K)], 2 * L * M * K),
        (torch.addmv, [(L,), (L, M), (M,)], L * M),
        (torch.Tensor.addmm_, [(L, K), (L, M), (M, K)], L * M * K),
        (F.linear, [(2, L, M), (K, M), (K,)], 2 * L * M * K),
    ],
)
def test_product_costs_one_multiply_add_per_term(function, shapes, expected):
    assert macs(function, *(torch.empty(shape) for shape in shapes)) == expected


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("nchw,dc->ndhw", [(2, 3, 4, 5), (6, 3)], 2 * 4 * 5 * 6 * 3),
        ("bqhd,bkhd->bhqk", [(2, 3, 4, 5), (2, 7, 4, 5)], 2 * 4 * 3 * 7 * 5),
        ("vw,ncwt->ncvt", [(5, 5), (2, 3, 5, 4)], 2 * 3 * 4 * 5 * 5),
    ],
)
def test_einsum_costs_the_product_of_all_its_sizes(equation, shapes, expected):
    operands = [torch.empty(shape) for shape in shapes]
    assert macs(torch.einsum, equation, *operands) == expected


def test_bilinear_contracts_one_side_and_then_the_other():
    layer = nn.Bilinear(5, 7, 3)
    x, y = torch.empty(4, 5), torch.empty(4, 7)
    assert macs(layer, x, y) == 4 * (3 * 5 * 7 + 3 * 7)


@pytest.mark.parametrize("training", [True, False])
def test_attention_layer_costs_four_projections_scores_and_mixing(training):
    width, tokens, batch = 8, 6, 2
    layer = nn.MultiheadAttention(width, 2, batch_first=True).train(training)
    x = torch.empty(batch, tokens, width)
    projections = 4 * batch * tokens * width * width
    products = 2 * batch * tokens * tokens * width
    assert macs(layer, x, x, x, need_weights=False) == projections + products
    assert macs(layer, x, x, x, need_weights=True) == projections + products


def test_attention_with_other_lengths_and_value_width():
    query, key, value = torch.empty(2, 3, 5, 8), torch.empty(2, 3, 7, 8), torch.empty(2, 3, 7, 4)
    expected = 2 * 3 * 5 * 7 * (8 + 4)
    assert macs(F.scaled_dot_product_attention, query, key, value) == expected


def test_encoder_layer_is_counted_whole_though_torch_has_a_fast_path_for_it():
    width, hidden, tokens = 8, 32, 5
    layer = nn.TransformerEncoderLayer(width, 2, hidden, batch_first=True)
    expected = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden
    cost = count(layer, (1, tokens, width))
    assert (cost.macs, cost.uncounted) == (expected, {})
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(("cell", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 2)])
def test_recurrent_network_costs_its_gates_at_every_step(cell, gates, layers, directions):
    steps, batch, width, hidden = 6, 2, 5, 7
    layer = cell(width, hidden, num_layers=layers, bidirectional=directions == 2)
    first = gates * hidden * (width + hidden)
    later = gates * hidden * (directions * hidden + hidden)
    expected = steps * batch * directions * (first + (layers - 1) * later)
    cost = count(layer, (steps, batch, width))
    assert (cost.macs, cost.uncounted) == (expected, {})


def test_complex_product_costs_four_real_ones():
    x, y = torch.empty(3, 5, dtype=torch.complex64), torch.empty(5, 7, dtype=torch.complex64)
    assert macs(torch.mm, x, y) == 4 * 3 * 5 * 7


@pytest.mark.parametrize("bias", [True, False])
def test_complex_convolution_costs_four_real_ones(bias):
    # Torch makes three real convolutions of it: (a + b)(c + d) - ac - bd gives both cross terms.
    layer = nn.Conv2d(3, 4, 3, bias=bias, dtype=torch.complex64)
    x = torch.empty(1, 3, 8, 8, dtype=torch.complex64)
    cost = count(layer, (1, 3, 8, 8))
    assert cost.macs == macs(layer, x) == 4 * (6 * 6 * 4 * 3 * 9)
    assert cost.activation_bytes == 8 * (6 * 6 * 4)  # two float32 each


def test_complex_transposed_convolution_costs_four_real_ones():
    layer = nn.ConvTranspose1d(3, 4, 3, dtype=torch.complex64)
    assert count(layer, (2, 3, 7)).macs == 4 * (2 * 3 * 7 * 4 * 3)


def test_complex_layers_and_products_have_one_rule():
    def pair(a, b):
        return torch.empty(a, dtype=torch.complex64), torch.empty(b, dtype=torch.complex64)

    assert count(nn.Linear(3, 4, dtype=torch.complex64), (2, 3)).macs == 4 * (2 * 3 * 4)
    assert macs(F.linear, *pair((2, 3), (4, 3))) == 4 * (2 * 3 * 4)
    assert macs(torch.matmul, *pair((2, 3), (3, 4))) == 4 * (2 * 3 * 4)
    assert macs(lambda a, b: torch.einsum("bij,bjk->bik", a, b), *pair((2, 3, 4), (2, 4, 5))) == (
        4 * (2 * 3 * 4 * 5)
    )
    assert macs(lambda x, w: F.conv1d(input=x, weight=w), *pair((1, 3, 4), (5, 3, 1))) == (
        4 * (4 * 5 * 3)
    )


def test_deformable_convolution_costs_what_a_plain_one_does():
    from torchvision.ops import deform_conv2d

    x, weight = torch.rand(1, 4, 8, 8), torch.rand(6, 4, 3, 3)
    offset = torch.zeros(1, 18, 6, 6)
    assert macs(deform_conv2d, x, offset, weight) == macs(F.conv2d, x, weight) == 6 * 36 * 4 * 9


def test_operators_of_two_types_give_the_type_that_torch_gives():
    class Mixed(nn.Module):
        def forward(self, x):
            return (x.half() + x) @ x.T, (x.int().sigmoid() + x.half()) @ x.half().T

    assert count(Mixed(), (2, 2)).macs == 16


ACTIVATIONS = [name for name in nn.modules.activation.__all__ if name != "MultiheadAttention"]
NEEDED = {
    "Threshold": {"threshold": 0.1, "value": 0.0},
    "Softmin": {"dim": 1},
    "Softmax": {"dim": 1},
    "LogSoftmax": {"dim": 1},
}
IN_PLACE = [n for n in ACTIVATIONS if "inplace" in inspect.signature(getattr(nn, n)).parameters]


def test_activations_that_work_in_place_are_found():
    assert {"ReLU", "ReLU6", "SiLU", "Hardswish", "Mish"} <= set(IN_PLACE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_free_and_known(name):
    cost = count(getattr(nn, name)(**NEEDED.get(name, {})), (2, 8, 4, 4))
    assert (cost.macs, cost.uncounted) == (0, {})


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_are_free_and_known(name):
    cost = count(getattr(nn, name)(inplace=True, **NEEDED.get(name, {})), (2, 8, 4, 4))
    assert (cost.macs, cost.uncounted) == (0, {})


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(8),
        nn.InstanceNorm2d(8, affine=True),
        nn.GroupNorm(2, 8),
        nn.LayerNorm(8),
        nn.RMSNorm(8),
        nn.LocalResponseNorm(3),
        nn.MaxPool2d(2),
        nn.AvgPool2d(3, 2),
        nn.AdaptiveAvgPool2d(3),
        nn.AdaptiveMaxPool2d(3),
        nn.LPPool2d(2, 2),
        nn.FractionalMaxPool2d(2, 3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        nn.PixelShuffle(2),
        nn.ReflectionPad2d(1),
        nn.CircularPad2d(1),
        nn.Dropout2d(),
        nn.Unfold(3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_normalising_pooling_and_moving_are_free_and_known(layer):
    cost = count(layer, (2, 8, 8, 8))
    assert (cost.macs, cost.uncounted) == (0, {})


@pytest.mark.parametrize("operator", SHAPES, ids=str)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("other", [(2, 3, 5, 7), (3, 1, 1), ()], ids=str)
def test_shape_that_is_said_directly_is_the_one_torch_computes(operator, memory, other):
    x = torch.rand(2, 3, 5, 7).to(memory_format=memory)
    args = [x]
    if ".Tensor" in str(operator):
        args.append(torch.rand(other))
    if "batch_norm" in str(operator):
        args += [torch.ones(3)] * 4
        args += [False] * ("legit" not in str(operator)) + [0.1, 1e-5]
    if "layer_norm" in str(operator):
        args += [[5, 7], torch.ones(5, 7), torch.ones(5, 7), 1e-5]
    if "addmm" in str(operator):
        args = [torch.rand(6), torch.rand(4, 5), torch.rand(5, 6)]
    on_meta = [a.to("meta") if isinstance(a, torch.Tensor) else a for a in args]
    said, computed = SHAPES[operator](on_meta), operator(*args)
    if isinstance(said, torch.Tensor):
        assert (said is on_meta[0]) == (computed is x)
        said, computed = [said], [computed]
    for ours, torchs in zip(said, computed, strict=True):
        assert (ours.shape, ours.stride()) == (torchs.shape, torchs.stride())
