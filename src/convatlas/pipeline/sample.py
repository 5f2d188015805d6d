"""A few inputs that a run keeps, so that an export can be checked where the data are not."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convatlas.deploy.predictor import Item, parts_of
from convatlas.errors import DataError
from convatlas.replacing import cannot_write, replacing
from convatlas.text import printable, utf8_path

MAX_ITEMS = 16
MAX_SAMPLE_BYTES = 4 << 20
PART = "."  # between the number of an input and that of its tensor: an input may have several


def save_sample(items: Iterable[Item], path: Path) -> None:
    """Keep the first inputs that there is room for.

    Shape: each as the predictor takes it, without the batch

    Raises:
        WriteError: the file cannot be written.
    """
    kept: dict[str, Tensor] = {}
    held = 0
    for count, item in enumerate(items):
        parts = parts_of(item)
        held += sum(part.nbytes for part in parts)
        if count == MAX_ITEMS or (kept and held > MAX_SAMPLE_BYTES):
            break
        for place, part in enumerate(parts):
            name = f"{count:02d}{PART}{place}" if isinstance(item, tuple) else f"{count:02d}"
            kept[name] = part.contiguous().clone()  # a file holds no shared memory
    with replacing(path) as fresh:
        try:
            save_file(kept, str(fresh))
        except SafetensorError as error:
            raise cannot_write(path, error) from error


def load_sample(path: Path) -> list[Item]:
    """Read the inputs that a run kept. Shape: each as the predictor takes it, without the batch

    Raises:
        DataError: there are none, or the file is damaged.
    """
    if not path.is_file():
        raise DataError(f"{printable(path)}: nothing is kept here")
    try:
        with utf8_path(path) as readable:
            kept = load_file(readable)
    except SafetensorError as error:
        raise DataError(f"{printable(path)}: damaged ({' '.join(str(error).split())})") from error
    found: dict[str, list[Tensor]] = {}
    for name in sorted(kept):
        found.setdefault(name.partition(PART)[0], []).append(kept[name])
    return [tuple(parts) if f"{name}{PART}0" in kept else parts[0] for name, parts in found.items()]
