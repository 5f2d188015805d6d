import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import (
    conv,
    conv_by_matrix,
    conv_by_patches,
    convolution_matrix,
    patches,
    transposed_conv,
)


def test_rows_of_the_example_of_the_sheet():
    """4 x 4 input, 3 x 3 kernel: 4 x 16; a text prints 17 entries in the second row."""
    weight = torch.arange(1.0, 10).view(1, 1, 3, 3)
    matrix = convolution_matrix(weight, (4, 4)).to_dense()
    assert matrix.shape == (4, 16)
    first = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0]
    for row, offset in zip(matrix.tolist(), (0, 1, 4, 5), strict=True):
        assert row == [0] * offset + first[: 16 - offset]
    assert matrix[1].tolist() == [0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0]


CASES = [
    ((7,), (3,), {"stride": 2, "padding": 1}),
    ((5, 4), (3, 2), {"stride": (2, 1), "padding": (1, "same"), "dilation": (1, 2)}),
    ((4, 4), (3, 3), {"padding": 1, "groups": 2}),
    ((4, 5), (3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ((3, 4), (3, 3), {"padding": 2, "padding_mode": "circular"}),
    ((2, 3, 3), (2, 2, 2), {"padding": "same", "padding_mode": "replicate"}),
]


@pytest.mark.parametrize(("size", "kernel", "options"), CASES)
def test_forward_and_backward_are_matrix_products(draw, size, kernel, options):
    x, weight = draw(2, 2, *size), draw(4, 2 // options.get("groups", 1), *kernel)
    expected = conv(x, weight, **options)
    matrix = convolution_matrix(weight, size, **options)
    got = conv_by_matrix(x, matrix, expected.shape[2:])
    torch.testing.assert_close(got, expected)
    slope = draw(*expected.shape).detach()
    wanted = torch.autograd.grad(expected, (x, weight), slope)
    for ours, theirs in zip(torch.autograd.grad(got, (x, weight), slope), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    # The gradient of the input is the transpose times that of the output.
    back = slope.flatten(1) @ matrix.detach().to_dense()
    torch.testing.assert_close(back.view_as(x), wanted[0])


def test_the_transpose_is_the_transposed_convolution(draw):
    weight, y = draw(3, 2, 3, 3).detach(), draw(2, 3, 2, 2).detach()
    matrix = convolution_matrix(weight, (4, 4))
    got = conv_by_matrix(y, matrix.t(), (4, 4))
    torch.testing.assert_close(got, transposed_conv(y, weight))


def test_gradients(draw):
    def run(x, weight):
        matrix = convolution_matrix(weight, (4, 3), padding=1)
        return conv_by_matrix(x, matrix, (4, 3))

    assert torch.autograd.gradcheck(run, (draw(2, 1, 4, 3), draw(2, 1, 3, 3)))


def test_entries_are_weights_times_positions_less_the_padding(draw):
    weight = draw(4, 3, 3, 3).detach()
    assert convolution_matrix(weight, (6, 6))._nnz() == weight.numel() * 16
    # Padded by 1, a tap on each border falls outside for 6 of 36 outputs.
    inside = (3 * 6 - 2) ** 2
    assert convolution_matrix(weight, (6, 6), padding=1)._nnz() == 12 * inside


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}])
def test_patches_are_torchs(draw, options):
    x, weight = draw(2, 3, 6, 7).detach(), draw(4, 3, 3, 2).detach()
    torch.testing.assert_close(patches(x, (3, 2), **options), F.unfold(x, (3, 2), **options))
    got = conv_by_patches(x, weight, **options)
    torch.testing.assert_close(got, conv(x, weight, **options))


def test_patches_gradients_and_cost(draw):
    x, weight = draw(2, 2, 5), draw(3, 2, 3)
    assert torch.autograd.gradcheck(conv_by_patches, (x, weight))
    assert cost.macs(conv_by_patches, x, weight) == 2 * 3 * 2 * 3 * 3
    assert patches(x, (3,)).shape == (2, 6, 3)


def test_what_does_not_fit_is_refused(draw):
    weight = draw(1, 1, 3, 3).detach()
    with pytest.raises(ValueError, match="spans 3 positions, but size 2"):
        convolution_matrix(weight, (2, 4))
    with pytest.raises(ValueError, match="must not be a constant"):
        convolution_matrix(weight, (4, 4), padding_mode="constant")
    with pytest.raises(ValueError, match=r"4 x 16 does not take input \(1, 5, 4\)"):
        conv_by_matrix(torch.zeros(1, 1, 5, 4), convolution_matrix(weight, (4, 4)), (2, 2))
    with pytest.raises(ValueError, match="spans 3 positions, but size 2"):
        patches(torch.zeros(1, 1, 2), (3,))
