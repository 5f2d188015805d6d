"""First-order graph convolution: each vertex takes the weighted mean of itself and its neighbours.

Source: Kipf and Welling, 2017, arXiv:1609.02907, equation 8.
"""

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.chebyshev import along_graph, mix


def first_order_conv(x: Tensor, weight: Tensor, graph: Tensor) -> Tensor:
    """Mix the channels, then once along the graph with its loops.

    Shape:
        x        (n, c, …, v)
        weight   (d, c)
        graph    (v, v), dense or sparse: `first_order_graph`
        returns  (n, d, …, v)

    Cost: v * c * d + v * v * d multiply-adds for each item and each step of the axes between; with
        a sparse graph its entries stand for v * v.

    Raises:
        UsageError: vertices or channels that do not agree.
    """
    vertices, channels = x.shape[-1], x.shape[1]
    if graph.shape != (vertices, vertices) or weight.shape[1:] != (channels,):
        raise UsageError(
            f"first_order_conv: input {tuple(x.shape)} needs a graph ({vertices}, {vertices}) and "
            f"weights (d, {channels}), got {tuple(graph.shape)} and {tuple(weight.shape)}"
        )
    return along_graph(graph, mix(x, weight))


class FirstOrderConv(nn.Module):
    """`first_order_conv` with its weights on one graph.

    Args:
        graph: as `first_order_graph` makes it; not trained.

    Shape: (n, in_channels, …, v) -> (n, out_channels, …, v)

    Cost: as in `first_order_conv`.
    """

    graph: Tensor

    def __init__(self, in_channels: int, out_channels: int, graph: Tensor):
        super().__init__()
        self.register_buffer("graph", graph)
        bound = in_channels**-0.5
        weight = torch.empty(out_channels, in_channels)
        self.weight = nn.Parameter(nn.init.uniform_(weight, -bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return first_order_conv(x, self.weight, self.graph)
