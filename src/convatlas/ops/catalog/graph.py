"""Graph convolution by name, on a ring of vertices with one chord."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from convatlas.ops.catalog.op_spec import OpSpec
from convatlas.ops.counts import Count, count_chebyshev, count_first_order, count_spectral

if TYPE_CHECKING:
    from torch import nn


def spec_spectral(*, in_channels: int = 16, out_channels: int = 32, vertices: int = 8) -> OpSpec:
    """Weighs each graph frequency by itself, on a ring with one chord; every vertex sees all."""

    def build() -> "nn.Module":
        from convatlas.ops.catalog.ring import ring_with_chord
        from convatlas.ops.laplacian import eigenbasis, normalised_laplacian
        from convatlas.ops.spectral import SpectralConv

        basis = eigenbasis(normalised_laplacian(ring_with_chord(vertices)))[1]
        return SpectralConv(in_channels, out_channels, basis)

    count = count_spectral(in_channels, out_channels, vertices)
    return _on_graph(in_channels, out_channels, vertices, build, count)


def spec_chebyshev(
    *, in_channels: int = 16, out_channels: int = 32, vertices: int = 8, order: int = 3
) -> OpSpec:
    """Applies a polynomial of a graph's Laplacian, on a ring with one chord, order - 1 hops far."""

    def build() -> "nn.Module":
        from convatlas.ops.catalog.ring import ring_with_chord
        from convatlas.ops.chebyshev import ChebyshevConv
        from convatlas.ops.laplacian import normalised_laplacian, scaled_laplacian

        scaled = scaled_laplacian(normalised_laplacian(ring_with_chord(vertices)))
        return ChebyshevConv(in_channels, out_channels, scaled, order=order)

    count = count_chebyshev(in_channels, out_channels, vertices, order)
    return _on_graph(in_channels, out_channels, vertices, build, count)


def spec_first_order(*, in_channels: int = 16, out_channels: int = 32, vertices: int = 8) -> OpSpec:
    """Averages each vertex of a graph and its neighbours, on a ring with one chord."""

    def build() -> "nn.Module":
        from convatlas.ops.catalog.ring import ring_with_chord
        from convatlas.ops.first_order import FirstOrderConv
        from convatlas.ops.laplacian import first_order_graph

        return FirstOrderConv(
            in_channels, out_channels, first_order_graph(ring_with_chord(vertices))
        )

    count = count_first_order(in_channels, out_channels, vertices)
    return _on_graph(in_channels, out_channels, vertices, build, count)


def _on_graph(
    in_channels: int,
    out_channels: int,
    vertices: int,
    build: "Callable[[], nn.Module]",
    count: Count,
) -> OpSpec:
    weights = in_channels * out_channels * vertices**2
    dense = Count(weights, weights)
    return OpSpec((in_channels, vertices), (out_channels, vertices), build, count, dense)
