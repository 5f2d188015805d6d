"""Invertible down-sampling: pixels move into channels, and nothing is lost.

Source: Jacobsen, Smeulders, Oyallon, "i-RevNet", 2018, arXiv:1802.07088, section 3; the order of
    the channels is that of the authors' released code.
"""

from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def downsample(x: Tensor, block: int) -> Tensor:
    """Turn each block x block square into one pixel of block ** 2 times the channels.

    The place in the square is the slow part of the new channel's number: (row, column, channel).
    torch's pixel_unshuffle has (channel, row, column).

    Shape: (n, c, h, w) -> (n, block ** 2 * c, h / block, w / block)

    Cost: no multiply-adds.

    Raises:
        UsageError: a side is not a multiple of the block.
    """
    _check_image(x)
    n, c, h, w = x.shape
    if not is_traced(x) and (block < 1 or h % block or w % block):
        raise UsageError(f"downsample: sides must be multiples of block {block}, got {h} x {w}")
    squares = x.reshape(n, c, h // block, block, w // block, block)
    return squares.permute(0, 3, 5, 1, 2, 4).reshape(n, block**2 * c, h // block, w // block)


def upsample(x: Tensor, block: int) -> Tensor:
    """Invert `downsample`.

    Shape: (n, block ** 2 * c, h, w) -> (n, c, h * block, w * block)

    Cost: no multiply-adds.

    Raises:
        UsageError: the channels are not a multiple of block ** 2.
    """
    _check_image(x)
    n, c, h, w = x.shape
    if not is_traced(x) and (block < 1 or c % block**2):
        raise UsageError(
            f"upsample: channels must be a multiple of block ** 2 = {block**2}, got {c}"
        )
    squares = x.reshape(n, block, block, c // block**2, h, w)
    return squares.permute(0, 3, 4, 1, 5, 2).reshape(n, c // block**2, h * block, w * block)


def _check_image(x: Tensor) -> None:
    if not is_traced(x) and x.dim() != 4:
        raise UsageError(f"space_to_depth: input must be (n, c, h, w), got {tuple(x.shape)}")
