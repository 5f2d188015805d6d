"""What every task on sounds does alike: read them at one rate, ask in batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from convatlas.data.audio.asked import AskedSound
from convatlas.data.audio.read import without_silence
from convatlas.data.audio.sound_data import Clips, SoundFacts
from convatlas.deploy.predictor import Predictor
from convatlas.errors import DataError
from convatlas.progress import Progress

BATCH = 32  # sounds that are held in memory
MAX_HELD_SAMPLES = 1 << 24  # of all that are held, however few they are
MAX_KEPT = 480_000  # samples: a run folder keeps no longer sounds


def answer_split(predictor: Predictor, split: Clips, progress: Progress, title: str) -> Tensor:
    """Read each sound and return the answers in their order."""
    bar = progress.bar(title, len(split), unit="sounds")
    answers: list[Tensor] = []
    waiting: list[Tensor] = []
    for index in range(len(split)):
        waiting.append(split.read(index))
        if _enough(waiting) or index == len(split) - 1:
            answers.append(predictor.predict(waiting))
            waiting = []
            bar.update(index + 1)
    bar.close()
    return torch.cat(answers)


def answer_asked(
    predictor: Callable[[], Predictor], asked: Iterable[AskedSound], known: SoundFacts
) -> Iterator[tuple[str, Any, str | None]]:
    """Yield name and answer of each sound, in order; one that cannot be read has an error instead.

    Args:
        predictor: gives it; called only where there is a sound to answer.
    """
    names: list[str] = []
    waiting: list[Tensor | str] = []
    for each in asked:
        names.append(each.name)
        waiting.append(_read(each, known))
        if _enough(waiting):
            yield from _answers(predictor, names, waiting)
            names, waiting = [], []
    yield from _answers(predictor, names, waiting)


def sample_sounds(split: Clips, count: int) -> list[Tensor]:
    """Read evenly spaced sounds of a split, fewer where they are long. Shape: float32 (samples,)"""
    total = len(split)
    places = range(total) if total <= count else [i * total // count for i in range(count)]
    sounds, held = [], 0
    for place in places:
        sounds.append(split.read(place))
        held += len(sounds[-1])
        if held >= MAX_HELD_SAMPLES:
            break
    return sounds


def _enough(waiting: list[Any]) -> bool:
    held = sum(len(sound) for sound in waiting if isinstance(sound, Tensor))
    return len(waiting) == BATCH or held >= MAX_HELD_SAMPLES


def _read(asked: AskedSound, known: SoundFacts) -> Tensor | str:
    if asked.error is not None:
        return asked.error
    try:
        sound = asked.read(known.rate_hz, known.max_seconds)
    except DataError as error:
        return str(error)
    return without_silence(sound, known.rate_hz, known.silence_db)


def _answers(
    predictor: Callable[[], Predictor], names: list[str], waiting: list[Tensor | str]
) -> Iterator[tuple[str, Any, str | None]]:
    sounds = [sound for sound in waiting if isinstance(sound, Tensor)]
    answers = iter(predictor().predict(sounds) if sounds else ())
    for name, each in zip(names, waiting, strict=True):
        yield (name, None, each) if isinstance(each, str) else (name, next(answers), None)
