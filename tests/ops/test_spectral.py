import pytest
import torch

from convatlas import cost
from convatlas.ops import SpectralConv, eigenbasis, normalised_laplacian, spectral_conv


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(1)
    upper = torch.rand(5, 5, generator=generator, dtype=torch.float64).triu(1)
    upper = upper * (upper > 0.4)
    return upper + upper.T


def test_equals_the_sum_over_channel_pairs(draw, graph):
    basis = eigenbasis(normalised_laplacian(graph))[1]
    x, theta = draw(2, 3, 5), draw(4, 3, 5)
    expected = torch.zeros(2, 4, 5, dtype=torch.float64)
    for d in range(4):
        for c in range(3):
            matrix = basis @ torch.diag(theta[d, c]) @ basis.T
            for n in range(2):
                expected[n, d] += (matrix @ x[n, c]).detach()
    torch.testing.assert_close(spectral_conv(x, theta, basis).detach(), expected)


def test_theta_of_the_eigenvalues_gives_the_laplacian(draw, graph):
    laplacian = normalised_laplacian(graph)
    values, basis = eigenbasis(laplacian)
    x = draw(1, 1, 5)
    got = spectral_conv(x, values[None, None], basis)
    torch.testing.assert_close(got[0, 0], laplacian @ x[0, 0])


def test_axes_between_are_so_many_examples(draw, graph):
    basis = eigenbasis(normalised_laplacian(graph))[1]
    x, theta = draw(2, 3, 4, 5), draw(2, 3, 5)
    got = spectral_conv(x, theta, basis)
    for step in range(4):
        torch.testing.assert_close(got[:, :, step], spectral_conv(x[:, :, step], theta, basis))


def test_gradients_and_cost(draw, graph):
    basis = eigenbasis(normalised_laplacian(graph))[1]
    x, theta = draw(2, 3, 5), draw(4, 3, 5)
    assert torch.autograd.gradcheck(lambda *t: spectral_conv(*t, basis), (x, theta))
    assert cost.macs(spectral_conv, x, theta, basis) == 2 * (25 * (3 + 4) + 5 * 3 * 4)


def test_the_module_gives_the_function_and_trains_theta_only(graph):
    layer = SpectralConv(3, 4, eigenbasis(normalised_laplacian(graph.float()))[1])
    assert [tuple(p.shape) for p in layer.parameters()] == [(4, 3, 5)]
    x = torch.rand(1, 3, 5)
    torch.testing.assert_close(layer(x), spectral_conv(x, layer.theta, layer.basis))


def test_sizes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match=r"needs a basis \(5, 5\) and theta \(d, 3, 5\), got"):
        spectral_conv(torch.zeros(1, 3, 5), torch.zeros(2, 3, 4), torch.eye(5))
