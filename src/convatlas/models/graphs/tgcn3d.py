"""3D-TGCN: forecast sensors by graph convolutions that reach over time, on a graph of the series.

Each step of a window has a graph filter of its own, and their sum is gated: one convolution over
vertices and time. The graph needs no map: sensors whose average days are alike, by dynamic time
warping, are joined (`data/graphs/similar_series.py`).

Source:  Yu, Li, Zhang, Zhu, "3D Graph Convolutional Networks with Temporal Graphs: A Spatial
         Information Free Framework For Traffic Forecasting", 2019, arXiv:1903.00919.
Claims:  claims/tgcn3d.toml
Differs: the layers' number and widths, the norms and the head are not in the texts at hand: four
         layers of 64 channels, norms after each second one and STGCN's head were chosen here.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.graphs.gated_time import ForecastHead, MatchChannels, VertexNorm, gated
from convatlas.models.graphs.graph_matrix import FILTERS, GraphMatrix
from convatlas.models.graphs.window_input import (
    WindowExample,
    check_sizes,
    check_window,
    steps_left,
)
from convatlas.models.registry import register
from convatlas.ops.chebyshev import chebyshev_terms
from convatlas.ops.sparse_product import SparseMatrix


class GraphTimeConv(nn.Module):
    """Sum a graph filter for each of `kernel` steps, and gate the sum.

    Args:
        filter: `chebyshev`; or `spectral`, a weight for each frequency of the graph, step and pair
            of channels: Y_t = sum over s of U Theta_s U^T X_(t+s).
        order: polynomials of the Chebyshev filter.

    Shape: (n, in_channels, t, v), matrix (v, v) -> (n, out_channels, t - kernel + 1, v)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        vertices: int,
        *,
        kernel: int,
        filter: str,
        order: int,
    ):
        super().__init__()
        self.kernel, self.order, self.spectral = kernel, order, filter == "spectral"
        if self.spectral:
            bound = (kernel * in_channels) ** -0.5
            theta = torch.empty(kernel, 2 * out_channels, in_channels, vertices)
            self.theta = nn.Parameter(nn.init.uniform_(theta, -bound, bound))
            self.bias = nn.Parameter(torch.zeros(2 * out_channels, 1, 1))
        else:
            self.conv = nn.Conv2d(order * in_channels, 2 * out_channels, (kernel, 1))
        self.match = MatchChannels(in_channels, out_channels)

    def forward(self, x: Tensor, matrix: Tensor | SparseMatrix) -> Tensor:
        if self.spectral:
            assert isinstance(matrix, Tensor)
            y = self._by_frequency(x, matrix)
        else:
            y = self.conv(torch.cat(list(chebyshev_terms(x, matrix, self.order)), dim=1))
        return gated(y, self.match(x[:, :, self.kernel - 1 :]))

    def _by_frequency(self, x: Tensor, basis: Tensor) -> Tensor:
        frequencies = x @ basis
        left = frequencies.shape[2] - self.kernel + 1
        steps = [frequencies[:, :, s : s + left] for s in range(self.kernel)]
        windows = torch.stack(steps, dim=1)
        mixed = torch.einsum("nsctv,sdcv->ndtv", windows, self.theta)
        return mixed @ basis.T + self.bias


class TGCN3D(WindowExample, nn.Module):
    """Forecaster of sensors on the graph of their series' likeness.

    Args:
        sensors: vertices of the graph.
        edges: entries of the graph's matrix, kept sparse; None keeps it dense.
        history: steps that it reads; `kernel - 1` for each layer are lost, one must be left.
        horizon: steps that it puts out at once.
        in_channels: numbers of each sensor and step.
        layers: graph convolutions; after each second one stands a norm.
        channels: of each.
        kernel: steps that a filter reaches over, Kt.
        filter: `chebyshev`, or `spectral` on the eigenvectors of the Laplacian, which takes of the
            order of sensors^3 once, and `sensors` weights for each step and pair of channels.
        order: polynomials of the Chebyshev filter.
        width: multiplies `channels`.

    Shape: (n, in_channels, history, sensors) -> (n, horizon, sensors)

    Raises:
        UsageError: an option that has no such form, or too short a history.
    """

    graph_from = "series"  # also where the data have a graph: the paper needs none

    def __init__(
        self,
        *,
        sensors: int = 228,
        edges: int | None = None,
        history: int = 12,
        horizon: int = 1,
        in_channels: int = 1,
        layers: int = 4,
        channels: int = 64,
        kernel: int = 3,
        filter: str = "chebyshev",
        order: int = 3,
        width: float = 1.0,
    ):
        super().__init__()
        check_option("TGCN3D", "filter", filter, (FILTERS[0], FILTERS[2]))
        check_sizes("TGCN3D", sensors=sensors, horizon=horizon, order=order, layers=layers)
        left = steps_left("TGCN3D", history, (kernel - 1) * layers, f"{layers} layers")
        self.in_channels, self.history, self.sensors = in_channels, history, sensors
        self.horizon = horizon
        self.adjacency = GraphMatrix(filter, sensors, edges)
        wide = max(1, round(channels * width))
        self.layers = nn.ModuleList(
            GraphTimeConv(
                wide if place else in_channels,
                wide,
                sensors,
                kernel=kernel,
                filter=filter,
                order=order,
            )
            for place in range(layers)
        )
        self.norms = nn.ModuleList(
            VertexNorm(wide, sensors) if place % 2 else nn.Identity() for place in range(layers)
        )
        self.head = ForecastHead(wide, left, sensors, horizon)

    def forward(self, x: Tensor) -> Tensor:
        check_window(x, "TGCN3D", self.in_channels, self.history, self.sensors)
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return what the head reads; step i sees the input from i on, and nothing after the rest.

        Shape: (n, in_channels, history, sensors) -> (n, channels, steps, sensors)
        """
        matrix = self.adjacency.matrix()
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x, matrix))
        return x

    @classmethod
    def tiny(cls) -> "tuple[TGCN3D, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(sensors=5, history=6, horizon=2, layers=2, channels=4)
        return model, model.example(batch=2)


register("tgcn3d", TGCN3D, "forecast")
register("tgcn3d_spectral", TGCN3D, "forecast", filter="spectral")
