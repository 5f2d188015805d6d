"""The check at the door of a network that reads frames or a waveform, as `check_image` for images.

It is left out while a tracer runs (`torch.fx.Proxy` has no size yet) and in TorchScript.
"""

import torch
from torch import Tensor

from convatlas.ops.tracing import is_traced


def check_frames(x: Tensor, model: str, channels: int, min_frames: int) -> None:
    """Refuse a batch of frames that the network cannot take, saying what it can.

    Args:
        model: the class's name, for the message.
        channels: numbers in each frame that the first layer was built for.
        min_frames: smallest number of frames.

    Raises:
        ValueError: x is not (n, channels, t) with t of at least min_frames.
    """
    if torch.jit.is_scripting() or is_traced(x):  # pyright: ignore[reportPrivateImportUsage]
        return
    if x.ndim != 3 or x.shape[1] != channels or x.shape[2] < min_frames:
        unit = "frame" if min_frames == 1 else "frames"
        raise ValueError(
            f"{model}: input must be (n, {channels}, t) with t from {min_frames} {unit} up, got "
            f"{tuple(x.shape)}"
        )


def check_waveform(x: Tensor, model: str, min_samples: int) -> None:
    """Refuse a batch of waveforms that the network cannot take, saying what it can.

    Args:
        model: the class's name, for the message.
        min_samples: smallest number of samples.

    Raises:
        ValueError: x is not (n, t) with t of at least min_samples.
    """
    if torch.jit.is_scripting() or is_traced(x):  # pyright: ignore[reportPrivateImportUsage]
        return
    if x.ndim != 2 or x.shape[1] < min_samples:
        raise ValueError(
            f"{model}: input must be waveforms (n, t) with t from {min_samples} samples up, got "
            f"{tuple(x.shape)}"
        )
