"""Kernels made from embeddings by two linear layers: a static hypernetwork.

A basic kernel of n_in x n_out channels is made one input channel at a time: a matrix of that
channel's own turns the embedding into a hidden vector, and one matrix that every channel and every
layer shares turns the hidden vector into its filters. Larger kernels are tiles of basic ones.

Source: Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, section 3.1, equations 4 and 5, and
    section 4.2 for the tiles.
"""

import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def basic_kernels(
    embeddings: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    project: Tensor,
    project_bias: Tensor,
    *,
    side: int,
) -> Tensor:
    """Make one basic kernel of each embedding: project (mix_i z + mix_bias_i) for input channel i.

    Shape:
        embeddings    (t, z)
        mix           (c * hidden, z), the matrices of the input channels one below the other
        mix_bias      (c * hidden)
        project       (d * side * side, hidden)
        project_bias  (d * side * side)
        returns       (t, d, c, side, side)

    Cost: t * c * hidden * (z + d * side * side) multiply-adds.

    Raises:
        UsageError: sizes that do not agree.
    """
    hidden, area = project.shape[1], side * side
    if not is_traced(mix) and (
        mix.shape[0] % hidden or project.shape[0] % area or mix.shape[1] != embeddings.shape[1]
    ):
        raise UsageError(
            f"basic_kernels: embeddings {tuple(embeddings.shape)}, mix {tuple(mix.shape)} and "
            f"project {tuple(project.shape)} do not make kernels of {side} x {side}"
        )
    into, out = mix.shape[0] // hidden, project.shape[0] // area
    vectors = F.linear(embeddings, mix, mix_bias).reshape(-1, into, hidden)
    filters = F.linear(vectors, project, project_bias)
    return filters.reshape(-1, into, out, side, side).transpose(1, 2)


def tile_kernels(tiles: Tensor, out_channels: int, in_channels: int) -> Tensor:
    """Lay basic kernels side by side, rows of outputs first, and cut what is too much.

    Shape: (rows * columns, d, c, k, k) -> (out_channels, in_channels, k, k), where rows and columns
    are as few as cover it

    Raises:
        UsageError: another number of tiles.
    """
    count, out, into, side, _ = tiles.shape
    rows, columns = tile_counts(out_channels, in_channels, out, into)
    if not is_traced(tiles) and count != rows * columns:
        raise UsageError(f"tile_kernels: must be {rows} x {columns} basic kernels, got {count}")
    placed = tiles.reshape(rows, columns, out, into, side, side).transpose(1, 2)
    whole = placed.reshape(rows * out, columns * into, side, side)
    return whole[:out_channels, :in_channels]


def tile_counts(out_channels: int, in_channels: int, out: int, into: int) -> tuple[int, int]:
    """Return how many rows and columns of `out` x `into` channels cover a kernel."""
    return -(-out_channels // out), -(-in_channels // into)
