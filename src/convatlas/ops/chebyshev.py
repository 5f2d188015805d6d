"""Chebyshev graph convolution: a polynomial of the Laplacian, without its eigenvectors.

A polynomial of degree K - 1 reaches K - 1 hops, so the filter is local, and K products with a
sparse matrix replace the change of basis.

Source: Defferrard, Bresson, Vandergheynst, 2016, arXiv:1606.09375, section 2.1.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.sparse_product import SparseMatrix, sparse_product


def chebyshev_conv(x: Tensor, weight: Tensor, scaled: Tensor | SparseMatrix) -> Tensor:
    """Sum over k of T_k(L~) X W_k, where T_0 = I, T_1 = L~, T_k = 2 L~ T_(k-1) - T_(k-2).

    Shape:
        x        (n, c, …, v)
        weight   (K, d, c)
        scaled   (v, v), dense or sparse: `scaled_laplacian`
        returns  (n, d, …, v)

    Cost: (K - 1) * v * v * c + K * v * c * d multiply-adds for each item and each step of the axes
        between; with a sparse Laplacian its entries stand for v * v.

    Raises:
        UsageError: vertices or channels that do not agree, or no polynomial.
    """
    vertices, channels = x.shape[-1], x.shape[1]
    if scaled.shape != (vertices, vertices) or len(weight) < 1 or weight.shape[2] != channels:
        raise UsageError(
            f"chebyshev_conv: input {tuple(x.shape)} needs a Laplacian ({vertices}, {vertices}) "
            f"and weights (K, d, {channels}), got {tuple(scaled.shape)} and {tuple(weight.shape)}"
        )
    terms = chebyshev_terms(x, scaled, len(weight))
    y = mix(next(terms), weight[0])
    for order, term in enumerate(terms, start=1):
        y = y + mix(term, weight[order])
    return y


def chebyshev_terms(x: Tensor, scaled: Tensor | SparseMatrix, order: int) -> Iterator[Tensor]:
    """Yield T_0(L~) X to T_(order - 1)(L~) X.

    Shape: x (…, v), scaled (v, v), dense or sparse; yields (…, v)

    Cost: v * v multiply-adds for each row of x and each polynomial but the first; the entries of
        a sparse Laplacian.
    """
    before, term = x, x
    yield x
    for number in range(1, order):
        spread = along_graph(scaled, term)
        before, term = term, spread if number == 1 else 2 * spread - before
        yield term


def along_graph(matrix: Tensor | SparseMatrix, x: Tensor) -> Tensor:
    """Multiply the matrix with the values at the vertices, the last axis of x.

    Shape: (v, v) dense or sparse, (…, v) -> (…, v)

    Cost: v * v multiply-adds for each row of x; the entries of a sparse matrix.
    """
    if isinstance(matrix, SparseMatrix):
        return sparse_product(matrix, x)
    if matrix.layout == torch.strided:
        return x @ matrix.T
    return (matrix @ x.flatten(0, -2).T).T.view(x.shape)


def mix(x: Tensor, weight: Tensor) -> Tensor:
    """Apply one linear map to the channels, the same at every vertex.

    Shape: (n, c, …, v), (d, c) -> (n, d, …, v)

    Cost: c * d multiply-adds for each vertex.
    """
    return torch.einsum("nc...,dc->nd...", x, weight)


class ChebyshevConv(nn.Module):
    """`chebyshev_conv` with its weights on one graph.

    Args:
        order: polynomials, K; the filter reaches K - 1 hops.
        scaled: the scaled Laplacian of the graph; not trained.

    Shape: (n, in_channels, …, v) -> (n, out_channels, …, v)

    Cost: as in `chebyshev_conv`.
    """

    scaled: Tensor

    def __init__(self, in_channels: int, out_channels: int, scaled: Tensor, *, order: int = 3):
        super().__init__()
        if order < 1:
            raise UsageError(f"ChebyshevConv: order must be 1 or more, got {order}")
        self.register_buffer("scaled", scaled)
        bound = (order * in_channels) ** -0.5
        weight = torch.empty(order, out_channels, in_channels)
        self.weight = nn.Parameter(nn.init.uniform_(weight, -bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return chebyshev_conv(x, self.weight, self.scaled)
