"""What every task on images does alike: read them at their own sizes, ask in batches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from convatlas.data.dataset import Split
from convatlas.data.images.asked import Asked, find_asked
from convatlas.data.images.stored_reading import OPTIONS, Reading, chosen_reading
from convatlas.deploy.predictor import Predictor
from convatlas.errors import DataError
from convatlas.progress import Progress
from convatlas.tasks.class_task import check_names

SPLIT_BATCH = 256  # images of a split that are held in memory at their original size
ASKED_BATCH = 64  # of those that a person asks about, who waits for the first answers
MAX_ELEMENTS = 1 << 27  # of all that are held, however few they are
MAX_KEPT_SIDE = 512  # pixels: a run folder keeps no larger pictures


def reading_of(options: Mapping[str, Any]) -> Reading:
    """Return how a job's options say that images are read; others are not looked at."""
    return chosen_reading(**{name: options[name] for name in OPTIONS if name in options})


def with_reading(facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's facts with other limits for reading images.

    Raises:
        UsageError: it is no option of reading images.
    """
    check_names(options, OPTIONS)
    given = {key: value for key, value in options.items() if value is not None}
    chosen = chosen_reading(**given)
    limits = {key: getattr(chosen, key) for key in given}
    reading = Reading.model_validate(facts["reading"])
    return {**facts, "reading": reading.model_copy(update=limits).model_dump()}


def listed_images(
    asked: Any, progress: Progress, *, arrays: bool = False
) -> tuple[int | None, Iterable[Asked]]:
    """Return how many images are asked about, None where only time will tell, and the images.

    A generator may make more images than memory holds: they are not counted beforehand.

    Args:
        arrays: whether npy files are images, as `find_asked` takes it.
    """
    found = find_asked(asked, progress, arrays=arrays)
    if isinstance(asked, Iterator):
        return None, found
    listed: Sequence[Asked] = list(found)
    return len(listed), listed


def answer_split(
    predictor: Predictor, split: Split, progress: Progress, title: str
) -> Iterator[tuple[int, Any]]:
    """Read each image at its original size and yield how many are done and their answers."""
    bar = progress.bar(title, len(split), unit="images")
    images: list[Tensor] = []
    for index in range(len(split)):
        images.append(height_width_channels(split.read(index)))
        held = sum(image.numel() for image in images)
        if len(images) == SPLIT_BATCH or held >= MAX_ELEMENTS or index == len(split) - 1:
            yield index + 1, predictor.predict(images)
            images = []
            bar.update(index + 1)
    bar.close()


def answer_asked(
    predictor: Callable[[], Predictor],
    asked: Iterable[Asked],
    channels: int,
    reading: Reading,
    kept: dict[str, Tensor] | None = None,
) -> Iterator[tuple[str, Any, str | None]]:
    """Yield name and answer of each image, in order; one that cannot be read has an error instead.

    Args:
        predictor: gives it; called only where there is an image to answer.
        kept: takes each image under its name, for who draws on it, and is to be emptied by them.
            Shape: each uint8 (c, h, w)
    """
    names: list[str] = []
    waiting: list[Tensor | str] = []
    for each in asked:
        names.append(each.name)
        waiting.append(_read(each, channels, reading))
        if kept is not None and isinstance(waiting[-1], Tensor):
            kept[each.name] = waiting[-1].permute(2, 0, 1)
        held = sum(image.numel() for image in waiting if isinstance(image, Tensor))
        if len(waiting) == ASKED_BATCH or held >= MAX_ELEMENTS // 2:
            yield from _answers(predictor, names, waiting)
            names, waiting = [], []
    yield from _answers(predictor, names, waiting)


def _read(asked: Asked, channels: int, reading: Reading) -> Tensor | str:
    if asked.error is not None:
        return asked.error
    try:
        return height_width_channels(asked.read(channels, reading))
    except DataError as error:
        return str(error)


def _answers(
    predictor: Callable[[], Predictor], names: list[str], waiting: list[Tensor | str]
) -> Iterator[tuple[str, Any, str | None]]:
    images = [image for image in waiting if isinstance(image, Tensor)]
    answers = iter(predictor().predict(images) if images else ())
    for name, each in zip(names, waiting, strict=True):
        yield (name, None, each) if isinstance(each, str) else (name, next(answers), None)


def sample_images(split: Split, count: int) -> list[Tensor]:
    """Read evenly spaced images of a split, fewer where they are large. Shape: uint8 (h, w, c)"""
    places = (
        [i * len(split) // count for i in range(count)] if len(split) > count else range(len(split))
    )
    images, held = [], 0
    for place in places:
        images.append(height_width_channels(split.read(place)))
        held += images[-1].numel()
        if held >= MAX_ELEMENTS:
            break
    return images


def middle(image: Tensor) -> Tensor:
    """Cut the middle out of a large image. Shape: uint8 (h, w, c)"""
    height, width, _ = image.shape
    top, left = max(0, height - MAX_KEPT_SIDE) // 2, max(0, width - MAX_KEPT_SIDE) // 2
    return image[top : top + MAX_KEPT_SIDE, left : left + MAX_KEPT_SIDE].contiguous()


def height_width_channels(image: Tensor) -> Tensor:
    """Turn torch's order into that of image libraries. Shape: (c, ..., h, w) -> (..., h, w, c)"""
    return image.movedim(0, -1).contiguous()
