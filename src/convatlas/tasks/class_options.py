"""Options of every task whose answer is one class of several: metric, class weights, smoothing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from convatlas.errors import UsageError, nearest
from convatlas.metric import ACCURACY, BALANCED_ACCURACY, Metric
from convatlas.text import printable_few

OPTIONS = ("label_smoothing", "metric", "class_weights")
METRICS = {metric.key: metric for metric in (ACCURACY, BALANCED_ACCURACY)}
NONE, BALANCED = "none", "balanced"  # of class weights
LABEL_SMOOTHING = 0.1  # unless the user asks for another


def check_class_options(options: Mapping[str, Any]) -> None:
    """Refuse values that cannot be, before anything is read; other options are not looked at.

    Raises:
        UsageError: names the option.
    """
    smoothing = label_smoothing(options)
    if not isinstance(smoothing, int | float) or not 0 <= smoothing < 1:
        raise UsageError(f"label_smoothing must be from 0 to below 1, got {smoothing}")
    metric_of(options)
    given = options.get("class_weights", NONE)
    if given in (NONE, BALANCED):
        return
    if isinstance(given, str) or not all(map(_is_weight, _listed(given))):
        raise UsageError(
            "--class-weights must be none, balanced, or a number above 0 for each class, "
            f"got {given!r}"
        )


def label_smoothing(options: Mapping[str, Any]) -> float:
    """Return the share of the target that is spread evenly over the classes."""
    return options.get("label_smoothing", LABEL_SMOOTHING)


def metric_of(options: Mapping[str, Any]) -> Metric:
    """Return the metric that decides between networks.

    Raises:
        UsageError: there is none of that name.
    """
    key = options.get("metric", ACCURACY.key)
    if key not in METRICS:
        raise UsageError(
            f"--metric must be one of {', '.join(METRICS)}, got '{key}'{nearest(str(key), METRICS)}"
        )
    return METRICS[key]


def class_weights(
    options: Mapping[str, Any], labels: Sequence[int], classes: Sequence[str]
) -> Tensor | None:
    """Return how much an example of each class counts in the loss; None where all count alike.

    `balanced` gives every class the same sum: n / (k * examples of the class).

    Args:
        labels: of the n training examples.
        classes: the class map, k names.

    Shape: (k,), float32

    Raises:
        UsageError: as many numbers as classes are needed.
    """
    given = options.get("class_weights", NONE)
    if given == NONE:
        return None
    if given == BALANCED:
        counts = torch.bincount(torch.tensor(labels), minlength=len(classes))
        return len(labels) / (len(classes) * counts.clamp(min=1)).float()
    return weights_of_classes(_listed(given), classes)


def weights_of_classes(numbers: Sequence[float], classes: Sequence[str]) -> Tensor:
    """Return one weight a class, as the user gave them. Shape: (k,), float32

    Raises:
        UsageError: as many numbers as classes are needed.
    """
    if len(numbers) != len(classes):
        raise UsageError(
            f"--class-weights must have a number for each of the {len(classes)} classes, in this "
            f"order: {printable_few(classes, 12)}; got {len(numbers)}"
        )
    return torch.tensor([float(number) for number in numbers])


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Sequence) else [given]


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0 and math.isfinite(value)
