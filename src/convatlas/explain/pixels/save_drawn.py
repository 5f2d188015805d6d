"""Drawn images as files: a PNG each, and a sheet of all."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from convatlas.explain.pictures import to_pil
from convatlas.explain.pixels.sheet import image_grid
from convatlas.replacing import cannot_write, replacing

MAX_SHEET = 256  # images on the sheet


def drawn_paths(folder: Path, count: int) -> list[Path]:
    """Return the files of that many images: `sample-001.png` and so on."""
    digits = max(3, len(str(count)))
    return [folder / f"sample-{number:0{digits}d}.png" for number in range(1, count + 1)]


def save_drawn(
    images: Tensor, paths: Sequence[Path], first: Sequence[Tensor] = (), *, columns: int = 8
) -> None:
    """Write each image, and a sheet to the last path.

    Args:
        paths: one more than images.
        first: further images, which stand first on the sheet.

    Shape: uint8 (n, h, w, c)

    Raises:
        WriteError: a file cannot be written.
    """
    try:
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(paths[-1].parent, error) from error
    for image, path in zip(images, paths[:-1], strict=True):
        with replacing(path) as fresh:
            to_pil(image.permute(2, 0, 1)).save(fresh, "PNG")
    shown = [*first, *images[:MAX_SHEET]]
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    with replacing(paths[-1]) as fresh:
        image_grid(rows).save(fresh, "PNG")
