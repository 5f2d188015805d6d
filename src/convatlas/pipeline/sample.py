"""A few images that a run keeps, so that an export can be proved where the photographs are not."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convatlas.errors import DataError
from convatlas.replacing import cannot_write, replacing
from convatlas.text import printable, utf8_path

MOST_IMAGES = 16
MOST_SIDE = 512  # pixels; larger images are cut, for what a run keeps shall be small
MOST_BYTES = 4 << 20


def save_sample(images: Iterable[Tensor], path: Path) -> None:
    """Keep the first images that there is room for, the middle of large ones.

    Shape: each uint8 (h, w, channels)

    Raises:
        WriteError: the file cannot be written.
    """
    kept: dict[str, Tensor] = {}
    held = 0
    for image in images:
        middle = _middle(image)
        held += middle.numel()
        if len(kept) == MOST_IMAGES or (kept and held > MOST_BYTES):
            break
        kept[f"{len(kept):02d}"] = middle
    with replacing(path) as fresh:
        try:
            save_file(kept, str(fresh))
        except SafetensorError as error:
            raise cannot_write(path, error) from error


def load_sample(path: Path) -> list[Tensor]:
    """The images that a run kept. Shape: each uint8 (h, w, channels)

    Raises:
        DataError: there are none, or the file is damaged.
    """
    if not path.is_file():
        raise DataError(f"{printable(path)}: no images are kept here")
    try:
        with utf8_path(path) as readable:
            kept = load_file(readable)
    except SafetensorError as error:
        raise DataError(f"{printable(path)}: damaged ({' '.join(str(error).split())})") from error
    return [kept[name] for name in sorted(kept)]


def _middle(image: Tensor) -> Tensor:
    height, width, _ = image.shape
    top, left = max(0, height - MOST_SIDE) // 2, max(0, width - MOST_SIDE) // 2
    return image[top : top + MOST_SIDE, left : left + MOST_SIDE].contiguous()
