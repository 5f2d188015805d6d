"""The tensors of a verified file, by the names that its publisher gave them."""

from pathlib import Path

import torch
from torch import Tensor

from convatlas.errors import WeightsError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors, or a pickle through torch's reader of nothing but weights.

    Raises:
        WeightsError: damaged, or not a table of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has classes of its own
        raise WeightsError(f"{path}: cannot be read: {_first_line(error)}") from error
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise WeightsError(f"{path}: must hold tensors by name, got {type(found).__name__}")
    return dict(found)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
