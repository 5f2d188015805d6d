"""The matrices of a graph that graph convolutions use: Laplacian, its eigenbasis, its scaling.

A graph is its symmetric matrix of weights, 0 where two vertices are not joined.

Source: Defferrard, Bresson, Vandergheynst, 2016, arXiv:1606.09375, section 2; Kipf and Welling,
    2017, arXiv:1609.02907, section 2.2.
"""

import torch
from torch import Tensor

from convatlas.errors import UsageError


def normalised_laplacian(graph: Tensor) -> Tensor:
    """Compute I - D^(-1/2) W D^(-1/2); the row of a vertex without edges stays zero.

    Shape: (v, v) -> (v, v)

    Cost: no multiply-adds by the counting rule; done once for a graph.

    Raises:
        UsageError: not square, not symmetric, or a weight below 0.
    """
    _check("normalised_laplacian", graph)
    degree = graph.sum(1)
    return torch.diag((degree > 0).to(graph)) - _both_sides(graph, degree)


def eigenbasis(laplacian: Tensor) -> tuple[Tensor, Tensor]:
    """Return ascending eigenvalues and U with L = U diag(values) U^T, the graph's Fourier basis.

    Shape: (v, v) -> (v,), (v, v)

    Cost: of the order of v^3, done once for a graph, not counted.
    """
    values, vectors = torch.linalg.eigh(laplacian)
    return values, vectors


def scaled_laplacian(laplacian: Tensor, largest: float | None = None) -> Tensor:
    """Compute 2 L / lambda_max - I: eigenvalues from -1 to 1, the domain of Chebyshev polynomials.

    Args:
        largest: lambda_max; computed if not given. 2 is its bound for a normalised Laplacian.

    Shape: (v, v) -> (v, v)

    Cost: of the order of v^3 where lambda_max is computed, not counted.

    Raises:
        UsageError: lambda_max is not above 0: the graph has no edges.
    """
    top = torch.linalg.eigvalsh(laplacian)[-1].item() if largest is None else largest
    if not top > 0:
        raise UsageError(
            f"scaled_laplacian: the largest eigenvalue must be above 0, got {top}; "
            "the graph has no edges"
        )
    return 2 * laplacian / top - torch.eye(len(laplacian)).to(laplacian)


def first_order_graph(graph: Tensor, *, add_identity: bool = False) -> Tensor:
    """Compute D~^(-1/2) (W + I) D~^(-1/2), D~ the degrees of W + I.

    Args:
        add_identity: the released code of STGCN adds I once more; the paper does not.

    Shape: (v, v) -> (v, v)

    Cost: no multiply-adds by the counting rule; done once for a graph.

    Raises:
        UsageError: not square, not symmetric, or a weight below 0.
    """
    _check("first_order_graph", graph)
    identity = torch.eye(len(graph)).to(graph)
    looped = graph + identity
    filtered = _both_sides(looped, looped.sum(1))
    return filtered + identity if add_identity else filtered


def _both_sides(graph: Tensor, degree: Tensor) -> Tensor:
    """Compute D^(-1/2) W D^(-1/2), zero where a degree is."""
    root = degree.where(degree > 0, 1).rsqrt() * (degree > 0)
    return root[:, None] * graph * root


def _check(where: str, graph: Tensor) -> None:
    if graph.dim() != 2 or graph.shape[0] != graph.shape[1]:
        raise UsageError(f"{where}: the graph must be (v, v), got {tuple(graph.shape)}")
    if not torch.equal(graph, graph.T) or bool((graph < 0).any()):
        raise UsageError(f"{where}: the graph must be symmetric with no weight below 0")
