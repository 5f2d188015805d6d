import pytest
import torch

from convatlas import cost
from convatlas.errors import UsageError
from convatlas.ops import basic_kernels, tile_kernels

INTO, OUT, HIDDEN, Z, SIDE = 3, 4, 5, 2, 3


def inputs():
    torch.manual_seed(0)
    shapes = ((6, Z), (INTO * HIDDEN, Z), (INTO * HIDDEN,), (OUT * 9, HIDDEN), (OUT * 9,))
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def test_each_slice_is_the_two_matrices_of_the_paper():
    embeddings, mix, mix_bias, project, project_bias = inputs()
    kernels = basic_kernels(embeddings, mix, mix_bias, project, project_bias, side=SIDE)
    assert kernels.shape == (6, OUT, INTO, SIDE, SIDE)
    for t in range(6):
        for i in range(INTO):
            own = slice(i * HIDDEN, (i + 1) * HIDDEN)
            vector = mix[own] @ embeddings[t] + mix_bias[own]
            expected = (project @ vector + project_bias).reshape(OUT, SIDE, SIDE)
            torch.testing.assert_close(kernels[t, :, i], expected)


def test_gradients_and_cost():
    assert torch.autograd.gradcheck(lambda *t: basic_kernels(*t, side=SIDE), inputs())
    counted = cost.macs(lambda *t: basic_kernels(*t, side=SIDE), *inputs())
    assert counted == 6 * INTO * HIDDEN * (Z + OUT * SIDE * SIDE)


def test_tiles_lie_in_rows_of_outputs_and_the_rest_is_cut():
    tiles = torch.arange(6.0).reshape(6, 1, 1, 1, 1).expand(6, 2, 2, 1, 1)
    whole = tile_kernels(tiles, 3, 5)[..., 0, 0]
    assert whole.tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


def test_sizes_that_do_not_agree_are_refused():
    embeddings, mix, mix_bias, project, project_bias = inputs()
    with pytest.raises(UsageError, match="do not make kernels of 2 x 2"):
        basic_kernels(embeddings, mix, mix_bias, project[:-1], project_bias, side=2)
    with pytest.raises(UsageError, match="must be 2 x 3 basic kernels, got 5"):
        tile_kernels(torch.zeros(5, 2, 2, 1, 1), 3, 5)
