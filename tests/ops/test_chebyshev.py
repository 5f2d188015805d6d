import pytest
import torch

from convatlas import cost
from convatlas.ops import (
    ChebyshevConv,
    chebyshev_conv,
    eigenbasis,
    normalised_laplacian,
    scaled_laplacian,
    spectral_conv,
)


@pytest.fixture
def graph():
    """A path of six vertices with unequal weights."""
    weights = torch.tensor([1.0, 2, 0.5, 3, 1], dtype=torch.float64)
    return torch.diag(weights, 1) + torch.diag(weights, -1)


def test_equals_the_spectral_filter_with_the_polynomials_values(draw, graph):
    scaled = scaled_laplacian(normalised_laplacian(graph))
    values, basis = eigenbasis(scaled)
    x, weight = draw(2, 3, 6), draw(4, 2, 3)
    # T_k(v) = cos(k arccos v), without the recurrence.
    angles = values.clamp(-1, 1).arccos()
    theta = torch.einsum("kdc,kv->dcv", weight, torch.stack([(k * angles).cos() for k in range(4)]))
    got = chebyshev_conv(x, weight, scaled)
    torch.testing.assert_close(got, spectral_conv(x, theta, basis))


def test_one_polynomial_is_one_linear_map_a_vertex(draw, graph):
    scaled = scaled_laplacian(normalised_laplacian(graph))
    x, weight = draw(2, 3, 6), draw(1, 4, 3)
    torch.testing.assert_close(chebyshev_conv(x, weight, scaled), weight[0] @ x)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_filter_reaches_order_minus_one_hops(draw, graph, order):
    scaled = scaled_laplacian(normalised_laplacian(graph), largest=1.7)
    weight = draw(order, 1, 1)
    slopes = torch.autograd.functional.jacobian(
        lambda x: chebyshev_conv(x, weight, scaled), draw(1, 1, 6)
    )[0, 0, :, 0, 0]
    hops = (torch.arange(6)[:, None] - torch.arange(6)).abs()
    assert torch.equal(slopes.abs() > 1e-12, hops < order)


def test_naming_the_vertices_otherwise_names_the_answers_otherwise(draw, graph):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    x, weight = draw(2, 3, 6), draw(3, 2, 3)
    scaled = scaled_laplacian(normalised_laplacian(graph))
    renamed = scaled_laplacian(normalised_laplacian(graph[order][:, order]))
    got = chebyshev_conv(x[..., order], weight, renamed)
    torch.testing.assert_close(got, chebyshev_conv(x, weight, scaled)[..., order])


def test_sparse_and_dense_agree_and_axes_between_are_allowed(draw, graph):
    scaled = scaled_laplacian(normalised_laplacian(graph))
    x, weight = draw(2, 3, 4, 6), draw(3, 2, 3)
    dense = chebyshev_conv(x, weight, scaled)
    torch.testing.assert_close(chebyshev_conv(x, weight, scaled.to_sparse()), dense)
    torch.testing.assert_close(dense[:, :, 1], chebyshev_conv(x[:, :, 1], weight, scaled))


def test_gradients_and_cost(draw, graph):
    scaled = scaled_laplacian(normalised_laplacian(graph))
    x, weight = draw(2, 3, 6), draw(3, 2, 3)
    assert torch.autograd.gradcheck(lambda *t: chebyshev_conv(*t, scaled), (x, weight))
    counted = cost.macs(chebyshev_conv, x, weight, scaled)
    assert counted == 2 * (2 * 36 * 3 + 3 * 6 * 3 * 2)


def test_the_module_gives_the_function(graph):
    scaled = scaled_laplacian(normalised_laplacian(graph.float()))
    layer = ChebyshevConv(3, 4, scaled, order=3)
    x = torch.rand(2, 3, 6)
    torch.testing.assert_close(layer(x), chebyshev_conv(x, layer.weight, scaled))
    assert sum(p.numel() for p in layer.parameters()) == 3 * 3 * 4


def test_sizes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 6\) and weights \(K, d, 3\), got \(6, 6\)"):
        chebyshev_conv(torch.zeros(1, 3, 6), torch.zeros(2, 4, 2), torch.eye(6))
    with pytest.raises(ValueError, match="order must be 1 or more, got 0"):
        ChebyshevConv(1, 1, torch.eye(3), order=0)
