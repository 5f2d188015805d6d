import pytest
import torch

from convatlas.ops import (
    eigenbasis,
    first_order_graph,
    normalised_laplacian,
    scaled_laplacian,
)

# A path of three vertices, one edge of weight 4, and a vertex alone.
GRAPH = torch.tensor([[0, 4, 0, 0], [4, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]).double()


def test_entries_are_the_formula_and_a_lone_vertex_keeps_zeros():
    got = normalised_laplacian(GRAPH)
    degree = [4, 5, 1, 0]
    for i in range(4):
        for j in range(4):
            weight = GRAPH[i, j].item()
            edge = weight / (degree[i] * degree[j]) ** 0.5 if weight else 0
            expected = (1 if i == j and degree[i] else 0) - edge
            assert got[i, j].item() == pytest.approx(expected)


def test_eigenbasis_takes_the_matrix_apart():
    laplacian = normalised_laplacian(GRAPH)
    values, basis = eigenbasis(laplacian)
    torch.testing.assert_close(basis @ torch.diag(values) @ basis.T, laplacian)
    torch.testing.assert_close(basis.T @ basis, torch.eye(4).double())
    assert values[0].abs() < 1e-12
    assert values[-1] <= 2 + 1e-12


def test_scaled_eigenvalues_run_from_minus_one_to_one():
    values = torch.linalg.eigvalsh(scaled_laplacian(normalised_laplacian(GRAPH)))
    assert (values[0].item(), values[-1].item()) == pytest.approx((-1, 1))
    with_bound = scaled_laplacian(normalised_laplacian(GRAPH), largest=2)
    torch.testing.assert_close(with_bound, normalised_laplacian(GRAPH) - torch.eye(4).double())


def test_first_order_rows_are_the_formula():
    got = first_order_graph(GRAPH)
    degree = [5, 6, 2, 1]
    for i in range(4):
        for j in range(4):
            weight = GRAPH[i, j].item() + (i == j)
            assert got[i, j].item() == pytest.approx(weight / (degree[i] * degree[j]) ** 0.5)
    released = first_order_graph(GRAPH, add_identity=True)
    torch.testing.assert_close(released, got + torch.eye(4).double())


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (torch.zeros(2, 3), r"must be \(v, v\), got \(2, 3\)"),
        (torch.tensor([[0.0, 1], [0, 0]]), "symmetric with no weight below 0"),
        (torch.tensor([[0.0, -1], [-1, 0]]), "symmetric with no weight below 0"),
    ],
)
@pytest.mark.parametrize("function", [normalised_laplacian, first_order_graph])
def test_what_is_no_graph_is_refused(function, graph, message):
    with pytest.raises(ValueError, match=message):
        function(graph)


def test_a_graph_without_edges_has_no_scale():
    with pytest.raises(ValueError, match="the graph has no edges"):
        scaled_laplacian(normalised_laplacian(torch.zeros(3, 3)))
