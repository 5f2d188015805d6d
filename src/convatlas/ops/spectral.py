"""Spectral graph convolution: weigh each frequency of the graph by itself.

Y = U diag(theta) U^T X, U the eigenvectors of the Laplacian: the convolution theorem on a graph,
one theta for each pair of channels.

Source: Bruna et al., 2014, arXiv:1312.6203, section 3; Yu et al., 2019, arXiv:1903.00919.
"""

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError


def spectral_conv(x: Tensor, theta: Tensor, basis: Tensor) -> Tensor:
    """Transform into the eigenbasis, mix the channels at each frequency, and transform back.

    Shape:
        x        (n, c, …, v)
        theta    (d, c, v)
        basis    (v, v), eigenvectors in columns: `eigenbasis(laplacian)[1]`
        returns  (n, d, …, v)

    Cost: v * v * (c + d) + v * c * d multiply-adds for each item and each step of the axes between.

    Raises:
        UsageError: vertices or channels that do not agree.
    """
    vertices = x.shape[-1]
    if basis.shape != (vertices, vertices) or theta.shape[1:] != (x.shape[1], vertices):
        raise UsageError(
            f"spectral_conv: input {tuple(x.shape)} needs a basis ({vertices}, {vertices}) and "
            f"theta (d, {x.shape[1]}, {vertices}), got {tuple(basis.shape)} and "
            f"{tuple(theta.shape)}"
        )
    frequencies = x @ basis
    mixed = torch.einsum("nc...v,dcv->nd...v", frequencies, theta)
    return mixed @ basis.T


class SpectralConv(nn.Module):
    """`spectral_conv` with its weights on one graph.

    Args:
        basis: eigenvectors of the graph's Laplacian, in columns; not trained.

    Shape: (n, in_channels, …, v) -> (n, out_channels, …, v)

    Cost: as in `spectral_conv`.
    """

    basis: Tensor

    def __init__(self, in_channels: int, out_channels: int, basis: Tensor):
        super().__init__()
        self.register_buffer("basis", basis)
        theta = torch.empty(out_channels, in_channels, len(basis))
        bound = in_channels**-0.5
        self.theta = nn.Parameter(nn.init.uniform_(theta, -bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return spectral_conv(x, self.theta, self.basis)
