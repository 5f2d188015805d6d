"""Resizing to a square: stretched, with borders, or by the crop that published networks expect.

One filter in two forms: matrix products, which export with free height and width and answer the
same everywhere, and torch's own operator, which takes a third of the time.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from convatlas.data.images.image_limits import MAX_SIDE

FILTERS = ("bilinear", "bicubic")
MAX_NUMBERS = 1 << 24  # that become floats at once; of a larger image one plane at a time
LONGEST_RESIZED = 16  # times the square's side: above that the whole strip is never built
SHARPNESS = -0.5  # of the cubic filter, as in Pillow


@dataclass(frozen=True)
class Resize:
    """How an image becomes a square.

    Args:
        crop: None stretches the whole image. A number resizes the shorter side to `size / crop`
            and cuts the square out of the middle: 0.875 gives the usual 224 out of 256.
        filter: `bilinear` or `bicubic`, both antialiased, as Pillow has them.
        pad: None, or the 8-bit value of each channel on both sides of an image that keeps its
            aspect ratio: its longer side becomes the square's (letterbox).

    Raises:
        ValueError: the crop is not within (0, 1], no such filter, values that no pixel has, or
            both a crop and a letterbox.
    """

    crop: float | None = None
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    pad: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.crop is not None and not 0 < self.crop <= 1:
            raise ValueError(f"Resize: crop must be above 0 and at most 1, got {self.crop}")
        if self.filter not in FILTERS:
            raise ValueError(
                f"Resize: filter must be one of {', '.join(FILTERS)}, got {self.filter!r}"
            )
        if self.pad is not None and not all(0 <= value <= 255 for value in self.pad):
            raise ValueError(f"Resize: pad must be values from 0 to 255, got {self.pad}")
        if self.pad is not None and self.crop is not None:
            raise ValueError("Resize: must either crop or pad, not both")

    def clean(self, pixels: Tensor) -> Tensor:
        """Clamp to 0..255: the cubic filter overshoots at edges."""
        return pixels if self.filter == "bilinear" else pixels.clamp(0, 255)

    def for_channel(self, channel: int) -> "Resize":
        """Return the same for one channel alone."""
        return self if self.pad is None else replace(self, pad=(self.pad[channel],))


STRETCH = Resize()


def resize(images: Tensor, size: int, how: Resize = STRETCH) -> Tensor:
    """Resize to a square with antialiasing, in operators that every export knows.

    Shape: (..., h, w) of values 0..255 -> (..., size, size)

    Cost: size * h * w + size * size * h multiply-adds per channel.
    """
    height, width = images.shape[-2:]
    rows = resize_weights(height, size, images.device, how, other=width)
    columns = resize_weights(width, size, images.device, how, other=height)
    pixels = how.clean(rows @ (images @ columns.transpose(0, 1)))
    if how.pad is None:
        return pixels
    inside = (rows.sum(1) > 0.5).to(pixels)[:, None] * (columns.sum(1) > 0.5).to(pixels)
    return pixels + (1 - inside) * pixels.new_tensor(how.pad)[:, None, None]


def resize_image(image: Tensor, size: int, how: Resize = STRETCH) -> Tensor:
    """Resize one image by torch's own operator: the same numbers in a third of the time.

    Shape: uint8 (c, h, w) -> float32 (c, size, size)
    """
    if len(image) > 1 and image.numel() > MAX_NUMBERS:
        return torch.cat(
            [resize_image(plane[None], size, how.for_channel(i)) for i, plane in enumerate(image)]
        )
    if how.pad is not None:
        return _letterbox(image, size, how)
    floats = image.float()
    height, width = image.shape[-2:]
    sides, top, left = (size, size), 0, 0
    if how.crop is not None:
        edge, shorter = int(size / how.crop), min(height, width)
        sides = (edge * height // shorter, edge * width // shorter)
        top, left = (round((side - size) / 2) for side in sides)
    if max(sides) > LONGEST_RESIZED * size:  # a long strip, of which the square needs little
        return resize(floats, size, how)
    if sides != (height, width):
        floats = functional.interpolate(floats[None], sides, mode=how.filter, antialias=True)[0]
    return how.clean(floats[..., top : top + size, left : left + size])


def _letterbox(image: Tensor, size: int, how: Resize) -> Tensor:
    """Resize the longer side to the square's, and fill what is left on both sides of the shorter.

    Shape: uint8 (c, h, w) -> float32 (c, size, size)
    """
    assert how.pad is not None
    longer = max(image.shape[-2:])
    # Rounded as in `resize_weights`.
    height, width = (max(1, (2 * size * s + longer) // (2 * longer)) for s in image.shape[-2:])
    floats = image.float()
    sides = [(height, width)]
    if 1 in sides[0]:  # one after the other: torch mixes up rows where the other side becomes 1
        sides = [(height, image.shape[-1]), (height, width)]
    for pair in sides:
        if pair != tuple(floats.shape[-2:]):
            floats = functional.interpolate(floats[None], pair, mode=how.filter, antialias=True)[0]
    square = floats.new_tensor(how.pad)[:, None, None].repeat(1, size, size)
    top, left = (-((side - size) // 2) for side in (height, width))
    square[:, top : top + height, left : left + width] = how.clean(floats)
    return square


def resize_weights(
    length: int, size: int, device: torch.device, how: Resize = STRETCH, *, other: int = 1
) -> Tensor:
    """Return weight of each of `length` input pixels in each of `size` output pixels.

    A filter around the output pixel's centre, wider where the image shrinks; each row sums to 1,
    or to 0 where a letterbox has its border.

    Args:
        other: length of the image's other side; where the image is stretched it does not matter.

    Shape: (size, length)

    Raises:
        ValueError: the image is longer than any that is read.
    """
    if isinstance(length, int) and length > MAX_SIDE:  # export hands over a symbol
        raise ValueError(f"resize: a side must be at most {MAX_SIDE:,} pixels, got {length:,}")
    pixels = _places(length, device)
    total = pixels[-1:] + 0.5  # the length as a tensor: export keeps it free
    resized, first = torch.full_like(total, size), torch.zeros_like(total)
    if how.crop is not None:
        shorter = torch.minimum(total, _places(other, device)[-1:] + 0.5)
        # Torchvision's rounding, of the longer side and of where the cut begins.
        resized = torch.floor(int(size / how.crop) * total / shorter)
        first = torch.round((resized - size) / 2)
    if how.pad is not None:
        longer = torch.maximum(total, _places(other, device)[-1:] + 0.5)
        resized = torch.floor(size * total / longer + 0.5).clamp(min=1)
        first = torch.floor((resized - size) / 2)  # below 0: the border comes before the image
    shrink = total / resized
    places = _places(size, device) + first
    distance = (pixels - (places * shrink)[:, None]).abs() / shrink.clamp(min=1)
    weights = (_triangle if how.filter == "bilinear" else _cubic)(distance)
    if how.pad is None:
        return weights / weights.sum(1, keepdim=True)
    inside = ((places > 0) & (places < resized)).to(weights)[:, None]
    return weights * inside / torch.where(inside > 0, weights.sum(1, keepdim=True), 1.0)


def _places(count: int, device: torch.device) -> Tensor:
    """Centres of pixels."""
    return torch.arange(count, dtype=torch.float32, device=device) + 0.5


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981."""
    a = SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
