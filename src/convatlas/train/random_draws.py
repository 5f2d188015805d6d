"""Random numbers as a function of where a run is, not of what was drawn before.

Each step begins with generators set from (seed, step), and each batch is read with generators set
from (seed, epoch, place). So a run that goes on from a checkpoint draws what an unbroken one draws,
however much was read ahead, validated or measured in between.
"""

import hashlib
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

STEP, BATCH, ORDER, JUDGING = "step", "batch", "order", "judging"  # what is drawn for

_PYTHON, _NUMPY, _TORCH, _DEVICE = "python", "numpy", "torch", "device"


def seed_of(*place: int | str) -> int:
    """Return a seed of 32 bits for a place, such as (seed, STEP, 17)."""
    digest = hashlib.blake2b(repr(place).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def set_generators(seed: int, device: torch.device | None = None) -> None:
    """Set the generators of Python, numpy and torch, and that of a device beside the CPU.

    `torch.manual_seed` does more, for every device that there could be, and takes 0.3 ms.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the generator that augmentations of others draw from
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type != "cpu":
        getattr(torch.get_device_module(device), "manual_seed", _nothing)(seed)


def generator_states(device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the states of all generators: tensors by name, and what is no tensor, for JSON."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # the same
    tensors = {
        _PYTHON: torch.tensor(words, dtype=torch.int64),
        _NUMPY: torch.from_numpy(np.asarray(keys).astype(np.int64)),
        _TORCH: torch.get_rng_state(),
    }
    if device.type != "cpu":
        tensors[_DEVICE] = torch.get_device_module(device).get_rng_state(*_named(device))
    plain = {
        _PYTHON: [version, gauss],
        _NUMPY: [str(name), int(position), int(has_gauss), float(cached)],  # pyright: ignore[reportArgumentType]  # its stub allows a mapping
    }
    return tensors, plain


def restore_generators(
    tensors: dict[str, Tensor], plain: dict[str, Any], device: torch.device
) -> None:
    """Set all generators to states that `generator_states` gave."""
    version, gauss = plain[_PYTHON]
    random.setstate((version, tuple(tensors[_PYTHON].tolist()), gauss))
    name, position, has_gauss, cached = plain[_NUMPY]
    keys = tensors[_NUMPY].numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))  # noqa: NPY002  # the same
    torch.set_rng_state(tensors[_TORCH])
    if _DEVICE in tensors and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(tensors[_DEVICE], *_named(device))


def _named(device: torch.device) -> list[torch.device]:
    return [] if device.type == "mps" else [device]  # of which there is one


def _nothing(seed: int) -> None:
    """Stand in for a device whose random numbers the CPU draws."""
