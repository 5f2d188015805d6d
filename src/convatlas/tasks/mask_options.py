"""Options of segmentation: what has no class, how windows are cut and changed, what counts more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from convatlas.data.masks.augment import LEVELS
from convatlas.errors import UsageError
from convatlas.tasks.class_options import BALANCED, NONE, weights_of_classes

AUTO = "auto"
SLICES, VOLUMES = "slices", "volumes"
OPTIONS = (
    *("ignored", "stacks", "augmentation", "reduce", "crop", "dice"),
    *("class_weights", "border_weight"),
)
RANGES = {  # of an option that is a number: from, to, whether it is whole
    "reduce": (1, 16, True),
    "crop": (16, 1024, True),
    "dice": (0.0, 1.0, False),
    "border_weight": (0.0, 100.0, False),
}
DICE = 0.5  # share of the overlap in the loss, unless the user asks for another
MAX_BALANCED = 10.0  # a class that is hardly there must not outweigh all others


def check_mask_options(options: Mapping[str, Any]) -> None:
    """Refuse values that cannot be, before anything is read; other options are not looked at.

    Raises:
        UsageError: names the option.
    """
    level = options.get("augmentation", AUTO)
    if level not in (AUTO, *LEVELS):
        raise UsageError(f"augmentation must be one of {', '.join((AUTO, *LEVELS))}, got '{level}'")
    stacks = options.get("stacks", SLICES)
    if stacks not in (SLICES, VOLUMES):
        raise UsageError(f"stacks must be {SLICES} or {VOLUMES}, got '{stacks}'")
    for name, (low, high, whole) in RANGES.items():
        value = options.get(name, low)
        if name == "reduce" and value == AUTO:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high or (whole and value != round(value)):
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{name} must be {kind} from {low:g} to {high:g}, got {value!r}")
    ignored_values(options)
    given = options.get("class_weights", NONE)
    named = given in (NONE, BALANCED)
    if not named and not all(0 <= weight < math.inf for weight in _numbers(given)):
        raise UsageError(
            "class_weights must be none, balanced, or a number from 0 up for each class, got "
            f"{given!r}"
        )


def ignored_values(options: Mapping[str, Any]) -> list[int] | None:
    """Return the values of masks whose pixels have no class; None lets the data decide.

    Raises:
        UsageError: it is no such value.
    """
    given = options.get("ignored", AUTO)
    if given == AUTO:
        return None
    if given == NONE:
        return []
    values = _numbers(given)
    if not all(0 <= value < math.inf and value == int(value) for value in values):
        raise UsageError(
            "ignored must be auto, none or values of the masks, whole numbers such as 255 or "
            f"0,255, got {given!r}"
        )
    return [int(value) for value in values]


def class_weights(
    options: Mapping[str, Any], counts: Sequence[int], classes: Sequence[str]
) -> Tensor | None:
    """Return how much a pixel of each class counts in the loss; None where all count alike.

    `balanced` gives every class the same sum, a tenfold weight at most.

    Args:
        counts: training pixels of each class.
        classes: the class map, k names.

    Shape: (k,), float32

    Raises:
        UsageError: as many numbers as classes are needed.
    """
    given = options.get("class_weights", NONE)
    if given == NONE:
        return None
    if given == BALANCED:
        pixels = torch.tensor(counts, dtype=torch.float32).clamp(min=1)
        return (pixels.sum() / (len(classes) * pixels)).clamp(max=MAX_BALANCED)
    return weights_of_classes(_numbers(given), classes)


def _numbers(given: Any) -> list[float]:
    """Return one number or several; what is none becomes -1, which no option takes."""
    if isinstance(given, str):
        given = given.split(",")
    numbers = []
    for each in given if isinstance(given, list | tuple) else [given]:
        try:
            numbers.append(-1.0 if isinstance(each, bool) else float(each))
        except (TypeError, ValueError):
            numbers.append(-1.0)
    return numbers
