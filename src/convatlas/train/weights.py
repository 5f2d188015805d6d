"""Weights on disk, as safetensors: numbers and names, nothing that could run."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from convatlas.errors import DataError
from convatlas.text import utf8_path


def save_weights(model: nn.Module, path: Path, *, metadata: dict[str, str]) -> None:
    """Write all parameters and buffers; the file appears complete or not at all."""
    fresh = path.with_name(path.name + ".new")
    save_model(model, str(fresh), metadata={"format": "pt", **metadata})
    fresh.replace(path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model of the same build.

    Raises:
        DataError: no such file, not safetensors, or weights of another network.
    """
    if not path.is_file():
        raise DataError(f"{path}: no weights here")
    try:
        with utf8_path(path) as readable:
            load_model(model, readable, strict=True)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: not the weights of this network ({reason})") from error
