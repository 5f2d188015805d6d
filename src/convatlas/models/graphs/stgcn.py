"""STGCN: forecast the sensors of a graph by convolutions along time and along the graph in turn.

A block reads three steps of each sensor through a gate, mixes sensors up to two edges apart by a
polynomial of the graph's Laplacian, and reads three steps again. Nothing recurs, so that all steps
are computed at once.

Source:  Yu, Yin, Zhu, "Spatio-Temporal Graph Convolutional Networks: A Deep Learning Framework for
         Traffic Forecasting", IJCAI 2018, arXiv:1709.04875, and its repository.
Claims:  claims/stgcn.toml
Differs: lambda_max is taken as 2, its bound, not computed; `horizon` steps come out at once, where
         the paper forecasts one step and feeds it back.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.graphs.gated_time import (
    ForecastHead,
    MatchChannels,
    TemporalConv,
    VertexNorm,
)
from convatlas.models.graphs.graph_matrix import FILTERS, GraphMatrix
from convatlas.models.graphs.window_input import (
    WindowExample,
    check_sizes,
    check_window,
    steps_left,
)
from convatlas.models.registry import register
from convatlas.ops.chebyshev import along_graph, chebyshev_terms
from convatlas.ops.sparse_product import SparseMatrix

# Channels of each block: temporal, spatial, temporal.
REPOSITORY = ((32, 32, 64), (32, 32, 128))
PAPER = ((64, 16, 64), (64, 16, 64))
KERNEL = 3  # steps that a temporal convolution reads, Kt
SECOND_GATES = ("relu", "glu")


class SpatialConv(nn.Module):
    """Convolve along the graph, each step by itself, with a residual and ReLU.

    Args:
        order: polynomials of the Chebyshev filter, Ks; the first-order filter has none.

    Shape: (n, in_channels, t, v), matrix (v, v) -> (n, out_channels, t, v)
    """

    def __init__(self, in_channels: int, out_channels: int, *, filter: str, order: int):
        super().__init__()
        self.filter = filter
        self.order = order if filter == "chebyshev" else 1
        self.mix = nn.Conv2d(self.order * in_channels, out_channels, 1)
        self.match = MatchChannels(in_channels, out_channels)

    def forward(self, x: Tensor, matrix: Tensor | SparseMatrix) -> Tensor:
        if self.filter == "chebyshev":
            terms = torch.cat(list(chebyshev_terms(x, matrix, self.order)), dim=1)
        else:
            terms = along_graph(matrix, x)
        return (self.mix(terms) + self.match(x)).relu()


class STBlock(nn.Module):
    """Read along time, along the graph, and along time.

    Shape: (n, in_channels, t, v), matrix (v, v) -> (n, channels[2], t - 4, v)
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        vertices: int,
        *,
        filter: str,
        order: int,
        second_gate: str,
        dropout: float,
    ):
        super().__init__()
        first, spatial, last = channels
        self.before = TemporalConv(in_channels, first, KERNEL)
        self.along = SpatialConv(first, spatial, filter=filter, order=order)
        self.after = TemporalConv(spatial, last, KERNEL, gate=second_gate)
        self.norm = VertexNorm(last, vertices)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, matrix: Tensor | SparseMatrix) -> Tensor:
        return self.dropout(self.norm(self.after(self.along(self.before(x), matrix))))


class STGCN(WindowExample, nn.Module):
    """Forecaster of sensors that a graph joins.

    Args:
        sensors: vertices of the graph; gains of the norms and the last bias grow with it.
        edges: entries of the graph's matrix, kept sparse; None keeps it dense.
        history: steps that it reads, M in the paper; 4 for each block are lost, one must be left.
        horizon: steps that it puts out at once.
        in_channels: numbers of each sensor and step.
        blocks: channels of each block: temporal, spatial, temporal.
        filter: `chebyshev` or `first_order`.
        order: polynomials of the Chebyshev filter, Ks; it reaches `order - 1` edges.
        second_gate: of a block: `relu` as in the repository, `glu` as in the paper.
        dropout: fraction of the maps set to zero after each block, in training.
        width: multiplies all channel counts.

    Shape: (n, in_channels, history, sensors) -> (n, horizon, sensors)

    Raises:
        UsageError: an option that has no such form, or too short a history.
    """

    graph_from = "given"  # the graph of the data, where they have one

    def __init__(
        self,
        *,
        sensors: int = 228,
        edges: int | None = None,
        history: int = 12,
        horizon: int = 1,
        in_channels: int = 1,
        blocks: Sequence[Sequence[int]] = REPOSITORY,
        filter: str = "chebyshev",
        order: int = 3,
        second_gate: str = "relu",
        dropout: float = 0.0,
        width: float = 1.0,
    ):
        super().__init__()
        check_option("STGCN", "filter", filter, FILTERS[:2])
        check_option("STGCN", "second_gate", second_gate, SECOND_GATES)
        check_sizes("STGCN", sensors=sensors, horizon=horizon, order=order)
        lost = 2 * (KERNEL - 1) * len(blocks)
        left = steps_left("STGCN", history, lost, f"{len(blocks)} blocks")
        self.in_channels, self.history, self.sensors = in_channels, history, sensors
        self.horizon = horizon
        self.adjacency = GraphMatrix(filter, sensors, edges)
        built: list[nn.Module] = []
        into = in_channels
        for plan in blocks:
            channels = [max(1, round(each * width)) for each in plan]
            built.append(
                STBlock(
                    into,
                    channels,
                    sensors,
                    filter=filter,
                    order=order,
                    second_gate=second_gate,
                    dropout=dropout,
                )
            )
            into = channels[-1]
        self.blocks = nn.ModuleList(built)
        self.head = ForecastHead(into, left, sensors, horizon)

    def forward(self, x: Tensor) -> Tensor:
        check_window(x, "STGCN", self.in_channels, self.history, self.sensors)
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return what the head reads; step i sees the input from i on, and nothing after the rest.

        Shape: (n, in_channels, history, sensors) -> (n, channels, history - 4 * blocks, sensors)
        """
        matrix = self.adjacency.matrix()
        for block in self.blocks:
            x = block(x, matrix)
        return x

    @classmethod
    def tiny(cls) -> "tuple[STGCN, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(sensors=5, history=9, horizon=2, blocks=((4, 3, 6), (4, 4, 6)), dropout=0.1)
        return model, model.example(batch=2)


register("stgcn", STGCN, "forecast")
register("stgcn_first_order", STGCN, "forecast", filter="first_order")
register("stgcn_paper", STGCN, "forecast", blocks=PAPER, second_gate="glu")
