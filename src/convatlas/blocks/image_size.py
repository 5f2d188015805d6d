"""The one check at a classifier's door, so that a wrong size is named and not a failed layer.

A tracer's stand-in for the image (`torch.fx.Proxy`) has no size yet, and TorchScript cannot write
the messages: in both cases the check is left out, and the traced network holds none of it.
"""

import torch
from torch import Tensor

from convatlas.ops.tracing import is_traced


def check_image(x: Tensor, model: str, channels: int, min_size: int) -> None:
    """Refuse a batch that the network cannot take, saying what it can.

    Args:
        model: the class's name, for the message.
        channels: the channels that the first layer was built for.
        min_size: smallest height and width, in pixels.

    Raises:
        ValueError: x is not (n, channels, h, w) with h and w of at least min_size.
    """
    if not torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
        _check_least(x, model, channels, min_size)


def check_exact_image(x: Tensor, model: str, channels: int, size: tuple[int, int]) -> None:
    """Refuse a batch for a network whose weights are bound to one image size.

    Args:
        model: the class's name, for the message.
        channels: the channels that the first layer was built for.
        size: the height and width that the network was built for.

    Raises:
        ValueError: x is not (n, channels, *size).
    """
    if not torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
        _check_exact(x, model, channels, size)


def _check_least(x: Tensor, model: str, channels: int, min_size: int) -> None:
    if is_traced(x):
        return
    # Each side is compared alone: min(h, w) would tie them together in an exported program.
    if x.ndim != 4 or x.shape[1] != channels or x.shape[2] < min_size or x.shape[3] < min_size:
        unit = "pixel" if min_size == 1 else "pixels"
        raise ValueError(
            f"{model}: input must be (n, {channels}, h, w) with h and w from {min_size} {unit} up, "
            f"got {tuple(x.shape)}"
        )


def _check_exact(x: Tensor, model: str, channels: int, size: tuple[int, int]) -> None:
    if is_traced(x):
        return
    if x.ndim != 4 or tuple(x.shape[1:]) != (channels, *size):
        raise ValueError(
            f"{model}: input must be exactly (n, {channels}, {size[0]}, {size[1]}), got "
            f"{tuple(x.shape)}; resize or pad the images first"
        )
