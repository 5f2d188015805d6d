"""Weights on disk, as safetensors: numbers and names, nothing that could run."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn

from convatlas.errors import DataError
from convatlas.replacing import cannot_write, replacing
from convatlas.text import printable, utf8_path


def save_weights(model: nn.Module, path: Path, *, metadata: dict[str, str]) -> None:
    """Write all parameters and buffers; the file appears complete or not at all.

    Args:
        metadata: notes for the head of the file; `created` ties it to its `run.json`.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as fresh:
        try:
            save_model(model, str(fresh), metadata={"format": "pt", **metadata})
        except SafetensorError as error:  # a full disk is one of these, and names no file
            raise cannot_write(path, error) from error


def load_weights(model: nn.Module, path: Path, *, created: str | None = None) -> None:
    """Fill a model of the same build.

    Args:
        created: what the file's own note must say, where it has one.

    Raises:
        DataError: no such file, not safetensors, or weights of another network or run.
    """
    if not path.is_file():
        raise DataError(f"{path}: no weights here")
    try:
        with utf8_path(path) as readable:
            with safe_open(readable, framework="pt") as head:
                noted = (head.metadata() or {}).get("created", created)
            if created is not None and noted != created:
                raise DataError(
                    f"{printable(path)}: belongs to another run than run.json beside it"
                )
            load_model(model, readable, strict=True)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: not the weights of this network ({reason})") from error
    check_finite(model, path)


def check_finite(model: nn.Module, path: Path) -> None:
    """Refuse weights that are no numbers: whatever the network is asked, it would answer nan.

    Raises:
        DataError: names the file and the first such weight.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DataError(
                f"{printable(path)}: {name} contains values that are not finite numbers"
            )
