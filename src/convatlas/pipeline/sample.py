"""A few inputs that a run keeps, so that an export can be checked where the data are not."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convatlas.errors import DataError
from convatlas.replacing import cannot_write, replacing
from convatlas.text import printable, utf8_path

MAX_ITEMS = 16
MAX_SAMPLE_BYTES = 4 << 20


def save_sample(items: Iterable[Tensor], path: Path) -> None:
    """Keep the first inputs that there is room for.

    Shape: each as the predictor takes it, without the batch

    Raises:
        WriteError: the file cannot be written.
    """
    kept: dict[str, Tensor] = {}
    held = 0
    for item in items:
        held += item.nbytes
        if len(kept) == MAX_ITEMS or (kept and held > MAX_SAMPLE_BYTES):
            break
        kept[f"{len(kept):02d}"] = item.contiguous()
    with replacing(path) as fresh:
        try:
            save_file(kept, str(fresh))
        except SafetensorError as error:
            raise cannot_write(path, error) from error


def load_sample(path: Path) -> list[Tensor]:
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
    return [kept[name] for name in sorted(kept)]
