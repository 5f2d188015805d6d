"""The one check at a classifier's door, so that a wrong size is named and not a failed layer."""

from torch import Tensor


def check_image(x: Tensor, model: str, *, channels: int, min_size: int) -> None:
    """Refuse a batch that the network cannot take, saying what it can.

    Args:
        model: the class's name, for the message.
        channels: the channels that the first layer was built for.
        min_size: smallest height and width, in pixels.

    Raises:
        ValueError: x is not (n, channels, h, w) with h and w of at least min_size.
    """
    if x.ndim != 4 or x.shape[1] != channels or min(x.shape[2:]) < min_size:
        raise ValueError(
            f"{model}: input must be (n, {channels}, h, w) with h and w from {min_size} pixels up, "
            f"got {tuple(x.shape)}"
        )
