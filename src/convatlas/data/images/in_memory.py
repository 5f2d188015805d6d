"""Images that are in memory already: Pillow images, numpy arrays and tensors, read as files are."""

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from convatlas.data.images.deep_values import (
    UnknownRange,
    array_to_uint8,
)
from convatlas.data.images.image_limits import ImageTooLarge, check_size
from convatlas.data.images.many_channels import COLOUR
from convatlas.data.images.read import (
    array_planes,
    exif_transpose,
    planes,
    quiet_pillow,
    to_uint8,
)
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.images.unreadable import UnreadableImage, reason_of
from convatlas.errors import DataError, UsageError

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with transparency


def image_from(value: Any, channels: int, reading: Reading = PLAIN) -> Tensor:
    """Turn one image into 8-bit numbers, with the conversions that files go through.

    Args:
        value: a Pillow image; an array (h, w) or (h, w, c); or a tensor (h, w) or (c, h, w), with
            c of 1, 3 or 4, or else just the `channels`. The other order of axes is taken where
            only that fits. uint8, or deeper whole numbers and floats, whose black and white are
            those of the run.
        channels: 1 for grey, 3 for RGB, or as many as the images of the run have.
        reading: the limits, and what deep numbers mean.

    Shape: uint8 (channels, h, w)

    Raises:
        DataError: the image is above the limits, or its numbers have no known range.
        UsageError: the value is no image.
    """
    with quiet_pillow():
        try:
            if channels not in COLOUR:
                return array_planes(_of_channels(value, channels, reading), channels, reading)
            if isinstance(value, Image.Image):
                return planes(_upright(value, reading), channels)
            return planes(_picture(_last_axis_channels(value, CHANNELS), reading), channels)
        except (UnreadableImage, ImageTooLarge, UnknownRange) as error:
            raise DataError(str(error)) from None


def images_of(value: Any) -> list[Any] | None:
    """Return the images of a batch, an array or tensor of four axes; None for what is no batch."""
    if isinstance(value, np.ndarray | Tensor) and value.ndim == 4:
        return list(value)
    return None


def _upright(image: Image.Image, reading: Reading) -> Image.Image:
    check_size(image.width, image.height, reading.max_pixels)
    try:
        own = image.copy()  # decodes it; the caller's image stays as it is
    except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
        raise UnreadableImage(reason_of(error)) from error
    return exif_transpose(to_uint8(own, reading), own)


def _of_channels(value: Any, channels: int, reading: Reading) -> np.ndarray:
    """Numbers of an image of other channels than colour. Shape: (h, w, channels)"""
    if isinstance(value, Image.Image):
        raise UnreadableImage(f"must be an array of {channels} channels, got a Pillow image")
    array = _last_axis_channels(value, (channels,))
    if array.ndim == 2:
        raise UsageError(f"an image must have {channels} channels, got {tuple(array.shape)}")
    check_size(array.shape[1], array.shape[0], reading.max_pixels)
    return array


def _last_axis_channels(value: Any, known: tuple[int, ...]) -> np.ndarray:
    """Shape: (h, w) or (h, w, c)."""
    first = isinstance(value, Tensor)
    array = _as_array(value)
    if array.ndim not in (2, 3) or not array.size:
        raise UsageError(
            f"an image must have 2 or 3 axes, none of them empty, got {tuple(array.shape)}"
        )
    if array.ndim == 2:
        return array
    fits_first, fits_last = array.shape[0] in known, array.shape[2] in known
    if not (fits_first or fits_last):
        words = f"{known[0]}" if len(known) == 1 else "1, 3 or 4"
        raise UsageError(f"an image must have {words} channels, got {tuple(array.shape)}")
    return np.moveaxis(array, 0, 2) if fits_first and (first or not fits_last) else array


def _as_array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "buif":
        kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else repr(type(value))
        raise UsageError(
            "predict takes paths, folders, patterns, Pillow images, arrays and tensors of numbers, "
            f"got {kind}"
        )
    return value


def _picture(array: np.ndarray, reading: Reading) -> Image.Image:
    """8-bit image of an array. Shape: (h, w) or (h, w, c)"""
    check_size(array.shape[1], array.shape[0], reading.max_pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    array = array_to_uint8(array, reading)
    return to_uint8(Image.fromarray(np.ascontiguousarray(array)), reading)
