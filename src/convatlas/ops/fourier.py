"""Discrete Fourier transform of real frames as two small matrix products.

n = a * b numbers are laid out as a x b, transformed along one side, turned by a phase each and
transformed along the other. The two matrices together are far smaller than the n x n one, and
nothing but products is needed, so every runtime that an ONNX file meets can do it.

Source: Cooley & Tukey, "An Algorithm for the Machine Calculation of Complex Fourier Series",
    Mathematics of Computation 19, 1965, equations 4 to 8.
"""

import math

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError


def real_dft(x: Tensor) -> tuple[Tensor, Tensor]:
    """Transform real sequences by the definition: the slow, plain version of `RealDFT`.

    Shape: (..., n) -> real and imaginary part, each (..., n // 2 + 1)

    Cost: 2 * n * (n // 2 + 1) multiply-adds for each sequence.
    """
    length = x.shape[-1]
    phase = _phase(torch.arange(length), torch.arange(length // 2 + 1), length)
    return x @ phase.cos().to(x.dtype), -(x @ phase.sin().to(x.dtype))


class RealDFT(nn.Module):
    """Transform real sequences of one length; nothing is trained.

    Args:
        length: n of a sequence; a prime number is transformed by one large matrix.

    Shape: (..., n) -> real and imaginary part, each (..., n // 2 + 1)

    Cost: 2 * n * (a + b) multiply-adds for each sequence, about, with n = a * b as square as can
        be; the definition needs n * (n + 2).

    Raises:
        UsageError: the length is below 2.
    """

    first_cos: Tensor
    first_sin: Tensor
    turn_cos: Tensor
    turn_sin: Tensor
    last_cos: Tensor
    last_sin: Tensor

    def __init__(self, length: int):
        super().__init__()
        if length < 2:
            raise UsageError(f"RealDFT: length must be 2 or more, got {length}")
        self.length, self.bins = length, length // 2 + 1
        self.rows = _divisor(length)
        self.columns = length // self.rows
        rows, columns = torch.arange(self.rows), torch.arange(self.columns)
        half = torch.arange(self.columns // 2 + 1)  # the other frequencies mirror these
        for name, phase in (
            ("first", _phase(rows, rows, self.rows)),
            ("turn", _phase(rows, columns, length)),
            ("last", _phase(columns, half, self.columns)),
        ):
            self.register_buffer(f"{name}_cos", phase.cos().float(), persistent=False)
            self.register_buffer(f"{name}_sin", phase.sin().float(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grid = x.reshape(*x.shape[:-1], self.rows, self.columns)
        real, imaginary = self.first_cos @ grid, -(self.first_sin @ grid)
        real, imaginary = (
            real * self.turn_cos + imaginary * self.turn_sin,
            imaginary * self.turn_cos - real * self.turn_sin,
        )
        real, imaginary = (
            real @ self.last_cos + imaginary @ self.last_sin,
            imaginary @ self.last_cos - real @ self.last_sin,
        )
        return self._in_order(real), self._in_order(imaginary)

    def _in_order(self, grid: Tensor) -> Tensor:
        """Frequency k1 + a * k2 lies at (k1, k2). Shape: (..., a, b // 2 + 1) -> (..., bins)"""
        return grid.transpose(-1, -2).flatten(-2)[..., : self.bins]


def _phase(first: Tensor, second: Tensor, length: int) -> Tensor:
    """2 pi j k / n; the whole turns are taken off before they cost digits."""
    return (first[:, None] * second % length).double() * (2 * math.pi / length)


def _divisor(length: int) -> int:
    """The largest divisor up to the square root."""
    return next(d for d in range(math.isqrt(length), 0, -1) if length % d == 0)
