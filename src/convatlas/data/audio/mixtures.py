"""Mixtures of voices, made when they are asked for: clean speech in, mixture and voices out.

Source: the recipe of WSJ0-2mix: two utterances of different speakers, at levels drawn evenly
    between -2.5 and 2.5 dB (Hershey, Chen, Le Roux, Watanabe, 2016, arXiv:1508.04306, section 3).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.errors import UsageError

LEVELS_DB = (-2.5, 2.5)
PEAK = 0.9  # of the loudest sample of a mixture; full scale is 1
MAX_TRIES = 20  # pieces drawn until one is no silence
SILENCE = 1e-4  # root mean square below which a piece is none


def mix_at_levels(voices: Tensor, levels_db: Sequence[float] | Tensor) -> tuple[Tensor, Tensor]:
    """Scale voices to levels and add them up.

    Args:
        levels_db: of each voice, over the same loudness for all; only differences count.

    Shape: (s, t), (s,) -> mixture (t,) and voices (s, t), whose sum the mixture is; the mixture's
        loudest sample is 0.9

    Raises:
        UsageError: another number of levels, or a voice that is silent.
    """
    levels = torch.as_tensor(levels_db, dtype=voices.dtype)
    if levels.shape != voices.shape[:1]:
        raise UsageError(
            f"mix_at_levels: each of {len(voices)} voices must have a level, got {len(levels)}"
        )
    loudness = voices.square().mean(1, keepdim=True).sqrt()
    if not (loudness > 0).all():
        raise UsageError("mix_at_levels: a voice is silent, so that it has no level")
    scaled = voices / loudness * 10 ** (levels[:, None] / 20)
    mixture = scaled.sum(0)
    gain = PEAK / mixture.abs().max().clamp(min=torch.finfo(voices.dtype).tiny)
    return mixture * gain, scaled * gain


class Mixtures(Dataset):
    """Pieces of different speakers at drawn levels.

    Args:
        speakers: utterances of each speaker, (t,) at one rate.
        samples: length of a mixture; shorter utterances are filled with silence.
        count: number of mixtures.
        voices: in each.
        levels_db: between which a level is drawn for each voice.
        seed: another one gives other mixtures.
        fresh: a number gives another mixture each time that it is asked for, as training likes it;
            without it always the same.
        describe: an utterance of the first voice's speaker, another one than is mixed, becomes
            the vector that an extractor is told; without it there is none.

    Yields (mixture (t,), voices (voices, t)), with `describe` (mixture (t,), vector, voice (t,)).

    Raises:
        UsageError: fewer speakers than voices, or with `describe` one with a single utterance.
    """

    def __init__(
        self,
        speakers: Mapping[str, Sequence[Tensor]],
        samples: int,
        count: int,
        *,
        voices: int = 2,
        levels_db: tuple[float, float] = LEVELS_DB,
        seed: int = 0,
        fresh: bool = False,
        describe: Callable[[Tensor], Tensor] | None = None,
    ):
        if len(speakers) < voices:
            raise UsageError(
                f"Mixtures: {voices} voices must be of different speakers, got {len(speakers)}"
            )
        least = 1 if describe is None else 2
        few = [name for name, utterances in speakers.items() if len(utterances) < least]
        if few:
            raise UsageError(
                f"Mixtures: each speaker must have {least} utterances or more; '{few[0]}' has "
                f"{len(speakers[few[0]])}"
            )
        self._speakers = list(speakers.values())  # each reads its utterances when asked, perhaps
        self._samples, self._count, self._voices = samples, count, voices
        self._levels_db, self._seed, self._describe = levels_db, seed, describe
        self._asked = [0] * count if fresh else None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        if not 0 <= index < self._count:
            raise IndexError(index)
        number = index
        if self._asked is not None:
            number += self._asked[index] * self._count
            self._asked[index] += 1
        draw = self._draws(number)
        picked = self._picked(draw)
        chosen = [self._speakers[speaker] for speaker, _ in picked]
        places = [place for _, place in picked]
        pieces = [self._piece(u[place], draw) for u, place in zip(chosen, places, strict=True)]
        low, high = self._levels_db
        levels = low + (high - low) * torch.rand(self._voices, generator=draw)
        mixture, voices = mix_at_levels(torch.stack(pieces), levels)
        if self._describe is None:
            return mixture, voices
        others = [place for place in range(len(chosen[0])) if place != places[0]]
        other = chosen[0][others[self._draw(0, len(others), draw)]]
        return mixture, self._describe(other), voices[0]

    def chosen(self, index: int) -> list[tuple[int, int]]:
        """Return for each voice of a mixture the place of its speaker, and of the utterance.

        With `fresh`, those of the first time that it is asked for.
        """
        return self._picked(self._draws(index))

    def _draws(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed * 1_000_000_007 + number)

    def _picked(self, draw: torch.Generator) -> list[tuple[int, int]]:
        order = torch.randperm(len(self._speakers), generator=draw)[: self._voices].tolist()
        return [(who, self._draw(0, len(self._speakers[who]), draw)) for who in order]

    def _piece(self, utterance: Tensor, draw: torch.Generator) -> Tensor:
        """Return a piece of an utterance that is no silence, filled to the length asked for."""
        spare = len(utterance) - self._samples
        if spare <= 0:
            piece = torch.zeros(self._samples)
            at = self._draw(0, 1 - spare, draw)
            piece[at : at + len(utterance)] = utterance
            return piece
        for _ in range(MAX_TRIES):
            at = self._draw(0, spare + 1, draw)
            piece = utterance[at : at + self._samples]
            if piece.square().mean().sqrt() > SILENCE:
                return piece
        raise UsageError(f"Mixtures: {MAX_TRIES} pieces of one utterance were silent; leave it out")

    @staticmethod
    def _draw(low: int, high: int, draw: torch.Generator) -> int:
        return int(torch.randint(low, high, (), generator=draw))
