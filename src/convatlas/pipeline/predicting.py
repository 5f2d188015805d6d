"""Answers of a run for any number of images: read and asked in batches, never all at once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from convatlas.data.stored_reading import Reading
from convatlas.errors import DataError
from convatlas.pipeline.asked import Asked
from convatlas.pipeline.evaluate_split import Classifier, height_width_channels

BATCH = 64  # images held in memory at their original size
BATCH_VALUES = 1 << 26


@dataclass(frozen=True)
class Prediction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        label: the most probable class.
        probability: of that class, 0..1.
        probabilities: of each class, 0..1.
    """

    file: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None = None

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, best first; none for an error."""
        named = (self.probabilities or {}).items()
        return sorted(named, key=lambda pair: -pair[1])[:count]


def predict_in_batches(
    classifier: Callable[[], Classifier],
    asked: Iterable[Asked],
    classes: list[str],
    channels: int,
    reading: Reading,
) -> Iterator[Prediction]:
    """Yield the answer for each image, in order; an image that cannot be read gets an error.

    Args:
        classifier: opens it; called only where there is an image to answer.
    """
    waiting: list[Prediction | Tensor] = []
    names: list[str] = []
    for each in asked:
        names.append(each.name)
        waiting.append(_read(each, channels, reading))
        images = [image for image in waiting if isinstance(image, Tensor)]
        if len(waiting) == BATCH or sum(image.numel() for image in images) >= BATCH_VALUES:
            yield from _answers(classifier, names, waiting, classes)
            waiting, names = [], []
    yield from _answers(classifier, names, waiting, classes)


def _read(asked: Asked, channels: int, reading: Reading) -> Prediction | Tensor:
    if asked.error is not None:
        return Prediction(asked.name, None, None, None, asked.error)
    try:
        return height_width_channels(asked.read(channels, reading))
    except DataError as error:
        return Prediction(asked.name, None, None, None, str(error))


def _answers(
    classifier: Callable[[], Classifier],
    names: list[str],
    waiting: list[Prediction | Tensor],
    classes: list[str],
) -> Iterator[Prediction]:
    images = [image for image in waiting if isinstance(image, Tensor)]
    rows = iter(classifier().predict(images) if images else ())
    for name, each in zip(names, waiting, strict=True):
        yield each if isinstance(each, Prediction) else _prediction(name, next(rows), classes)


def _prediction(name: str, row: Tensor, classes: list[str]) -> Prediction:
    if not bool(torch.isfinite(row).all()):
        reason = f"{name}: the network's answer is no number"
        return Prediction(name, None, None, None, reason)
    best = int(torch.argmax(row))
    named = dict(zip(classes, row.tolist(), strict=True))
    return Prediction(name, classes[best], float(row[best]), named)
