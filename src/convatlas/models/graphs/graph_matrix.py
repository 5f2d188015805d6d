"""The matrix of a graph inside a network: kept with its weights, so that both go into one file.

A network is built for a number of vertices before its graph is known; until `set_graph` its
vertices form a ring.
"""

import math

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError
from convatlas.ops.laplacian import eigenbasis, normalised_laplacian
from convatlas.ops.sparse_product import SparseMatrix

FILTERS = ("chebyshev", "first_order", "spectral")
MAX_EIGENVALUE = 2.0  # of any normalised Laplacian, at most


class GraphMatrix(nn.Module):
    """What graph convolutions multiply with, for one kind of filter.

    With lambda_max = 2, its bound, the scaled Laplacian needs no decomposition: it is
    -D^(-1/2) W D^(-1/2), and -1 on the diagonal of a vertex without edges.

    Args:
        filter: `chebyshev` keeps the scaled Laplacian, `first_order` the graph with its loops,
            `spectral` the eigenvectors of the Laplacian, in columns.
        vertices: of the graph.
        entries: of a sparse matrix; None keeps a dense one. Thousands of vertices need it.

    Raises:
        UsageError: no such filter, or eigenvectors as a sparse matrix.
    """

    dense: Tensor
    rows: Tensor
    columns: Tensor
    values: Tensor

    def __init__(self, filter: str, vertices: int, entries: int | None = None):
        super().__init__()
        check_option("GraphMatrix", "filter", filter, FILTERS)
        if filter == "spectral" and entries is not None:
            raise UsageError("GraphMatrix: a spectral filter has no sparse matrix; leave out edges")
        self.filter, self.vertices, self.sparse = filter, vertices, entries is not None
        if entries is None:
            self.register_buffer("dense", _ring(filter, vertices))
        else:
            self.register_buffer("rows", torch.zeros(entries, dtype=torch.long))
            self.register_buffer("columns", torch.zeros(entries, dtype=torch.long))
            self.register_buffer("values", torch.zeros(entries))

    def matrix(self) -> Tensor | SparseMatrix:
        """Return the matrix. Shape: (v, v)"""
        if not self.sparse:
            return self.dense
        return SparseMatrix(self.rows, self.columns, self.values, self.vertices)

    @torch.no_grad()
    def set_graph(self, rows: Tensor, columns: Tensor, weights: Tensor) -> None:
        """Take the graph whose edges these are, each in both directions.

        Shape: (e,), (e,), (e,)

        Raises:
            UsageError: vertices that the network has not, or another number of entries.
        """
        if rows.numel() and int(torch.stack([rows, columns]).max()) >= self.vertices:
            raise UsageError(
                f"set_graph: the graph joins vertex {int(torch.stack([rows, columns]).max())}, "
                f"but the network has {self.vertices}, from 0 on"
            )
        rows, columns, values = filter_entries(self.filter, rows, columns, weights, self.vertices)
        if self.filter == "spectral":
            graph = torch.zeros(self.vertices, self.vertices)
            graph.index_put_((rows, columns), values, accumulate=True)
            self.dense.copy_(eigenbasis(normalised_laplacian(graph).double())[1])
        elif not self.sparse:
            self.dense.zero_()
            values = values.to(self.dense)
            self.dense.index_put_((rows, columns), values, accumulate=True)
        elif len(values) != len(self.values):
            raise UsageError(
                f"set_graph: the network has {len(self.values)} entries, the graph {len(values)}"
            )
        else:
            self.rows.copy_(rows)
            self.columns.copy_(columns)
            self.values.copy_(values)


def filter_entries(
    filter: str, rows: Tensor, columns: Tensor, weights: Tensor, vertices: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows, columns and values of the matrix that a filter multiplies with.

    `spectral` returns the graph itself: its matrix is dense.

    Shape: (e,), (e,), (e,) -> three times (entries,)
    """
    if filter == "spectral":
        return rows, columns, weights
    loops = torch.arange(vertices)
    degree = torch.zeros(vertices, dtype=torch.float64)
    degree.index_add_(0, rows, weights.double())
    if filter == "first_order":
        root = (degree + 1).rsqrt()
        rows, columns = torch.cat([rows, loops]), torch.cat([columns, loops])
        looped = torch.cat([weights.double(), torch.ones(vertices, dtype=torch.float64)])
        return rows, columns, (root[rows] * looped * root[columns]).float()
    root = degree.where(degree > 0, 1).rsqrt()
    alone = loops[degree == 0]
    values = -2 / MAX_EIGENVALUE * root[rows] * weights.double() * root[columns]
    values = torch.cat([values, -torch.ones(len(alone), dtype=torch.float64)])
    return torch.cat([rows, alone]), torch.cat([columns, alone]), values.float()


def _ring(filter: str, vertices: int) -> Tensor:
    """Return the matrix of a ring. Shape: (v, v)"""
    if filter == "spectral":  # a ring's eigenvectors: cos + sin of each whole number of waves
        steps = torch.arange(vertices)
        angles = 2 * math.pi * (steps[:, None] * steps % vertices) / vertices
        return (angles.cos() + angles.sin()) / vertices**0.5
    # Into the one matrix: thousands of vertices would need another for each term of a sum.
    matrix, steps = torch.zeros(vertices, vertices), torch.arange(vertices)
    weight = torch.tensor(1 / 3 if filter == "first_order" else -1 / 2)
    for distance in (-1, 1) if filter == "chebyshev" else (-1, 0, 1):
        matrix.index_put_((steps, (steps + distance) % vertices), weight, accumulate=True)
    return matrix
