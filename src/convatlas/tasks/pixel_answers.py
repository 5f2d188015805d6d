"""Images that are asked about, at the size that a run has learned from, a batch at a time."""

from collections.abc import Iterable, Iterator

from torch import Tensor

from convatlas.data.images.asked import Asked
from convatlas.data.pixels.pixel_data import PixelFacts, of_size
from convatlas.errors import DataError
from convatlas.tasks.images import ASKED_BATCH


def read_asked(
    listed: Iterable[Asked], facts: PixelFacts
) -> Iterator[list[tuple[str, Tensor | str]]]:
    """Yield names and images in order, or in place of an image what is wrong with it.

    Shape: each uint8 (h, w, channels)
    """
    waiting: list[tuple[str, Tensor | str]] = []
    for each in listed:
        waiting.append((each.name, _read(each, facts)))
        if len(waiting) == ASKED_BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _read(asked: Asked, facts: PixelFacts) -> Tensor | str:
    if asked.error is not None:
        return asked.error
    try:
        image = of_size(asked.read(facts.channels, facts.reading), facts, asked.name)
    except DataError as error:
        return str(error)
    return image.permute(1, 2, 0).contiguous()
