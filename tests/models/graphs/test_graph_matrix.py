"""The matrices against numpy's own decomposition and the plain operators of `ops.laplacian`."""

import numpy as np
import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models.graphs.graph_matrix import GraphMatrix, filter_entries
from convatlas.ops.laplacian import first_order_graph, normalised_laplacian, scaled_laplacian


@pytest.fixture
def graph():
    """Random weights between six vertices, and a seventh that stands alone."""
    torch.manual_seed(0)
    weights = (torch.rand(7, 7) * (torch.rand(7, 7) < 0.8)).triu(1)
    weights[:, 6] = 0
    return weights + weights.T


def edges(graph):
    rows, columns = graph.nonzero(as_tuple=True)
    return rows, columns, graph[rows, columns]


def built(filter, graph, *, sparse=False):
    entries = len(filter_entries(filter, *edges(graph), len(graph))[0]) if sparse else None
    matrix = GraphMatrix(filter, len(graph), entries)
    matrix.set_graph(*edges(graph))
    return matrix


def as_dense(matrix):
    found = matrix.matrix()
    if isinstance(found, torch.Tensor):
        return found
    full = torch.zeros(found.shape)
    return full.index_put_((found.rows, found.columns), found.values, accumulate=True)


@pytest.mark.parametrize("sparse", [False, True])
def test_chebyshev_keeps_the_scaled_laplacian(graph, sparse):
    expected = scaled_laplacian(normalised_laplacian(graph), largest=2.0)
    torch.testing.assert_close(as_dense(built("chebyshev", graph, sparse=sparse)), expected)


@pytest.mark.parametrize("sparse", [False, True])
def test_first_order_keeps_the_graph_with_loops(graph, sparse):
    expected = first_order_graph(graph)
    torch.testing.assert_close(as_dense(built("first_order", graph, sparse=sparse)), expected)


def test_the_spectral_basis_is_that_of_numpy(graph):
    degree = graph.sum(1).numpy()
    root = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    laplacian = np.diag(degree > 0) - root[:, None] * graph.numpy() * root
    values = np.linalg.eigvalsh(laplacian)
    basis = built("spectral", graph).matrix().numpy()
    np.testing.assert_allclose(basis @ np.diag(values) @ basis.T, laplacian, atol=1e-5)


def test_until_a_graph_is_known_the_vertices_form_a_ring():
    ring = torch.eye(7).roll(1, 0) + torch.eye(7).roll(-1, 0)
    laplacian = normalised_laplacian(ring)
    scaled = scaled_laplacian(laplacian, largest=2.0)
    torch.testing.assert_close(GraphMatrix("chebyshev", 7).matrix(), scaled)
    torch.testing.assert_close(GraphMatrix("first_order", 7).matrix(), first_order_graph(ring))
    basis = GraphMatrix("spectral", 7).matrix()
    spread = basis.T @ laplacian @ basis
    torch.testing.assert_close(basis.T @ basis, torch.eye(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.diag(spread.diagonal()), atol=1e-5, rtol=0)


def test_the_graph_lies_with_the_weights(graph):
    matrix = built("chebyshev", graph, sparse=True)
    other = GraphMatrix("chebyshev", 7, len(matrix.values))
    other.load_state_dict(matrix.state_dict())
    assert torch.equal(as_dense(other), as_dense(matrix))


def test_another_graph_than_it_was_built_for_is_refused(graph):
    with pytest.raises(UsageError, match="joins vertex 5, but the network has 4"):
        GraphMatrix("chebyshev", 4).set_graph(*edges(graph))
    with pytest.raises(UsageError, match="has 3 entries, the graph"):
        GraphMatrix("chebyshev", 7, 3).set_graph(*edges(graph))
    with pytest.raises(UsageError, match="spectral filter has no sparse matrix"):
        GraphMatrix("spectral", 7, 3)
