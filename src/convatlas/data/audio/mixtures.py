"""Mixtures of voices, made when they are asked for: clean speech in, mixture and voices out.

Source: the recipe of WSJ0-2mix: two utterances of different speakers, at levels drawn evenly
    between -2.5 and 2.5 dB (Hershey, Chen, Le Roux, Watanabe, 2016, arXiv:1508.04306, section 3).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.audio.fresh_numbers import FreshNumbers
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
        background: recordings of no speaker, such as music; a piece of one is then the last voice
            of each mixture.

    Yields (mixture (t,), voices (voices, t)).

    Raises:
        UsageError: fewer speakers than voices of theirs, or one without an utterance.
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
        background: Sequence[Tensor] | None = None,
    ):
        self._talking = voices if background is None else voices - 1
        if len(speakers) < self._talking:
            raise UsageError(
                f"Mixtures: {self._talking} voices must be of different speakers, got "
                f"{len(speakers)}"
            )
        if background is not None and not len(background):
            raise UsageError("Mixtures: the background must have a recording, got none")
        empty = next((name for name, utterances in speakers.items() if not len(utterances)), None)
        if empty is not None:
            raise UsageError(f"Mixtures: each speaker must have an utterance; '{empty}' has none")
        # Each reads its utterances when asked, perhaps.
        self._speakers, self._background = list(speakers.values()), background
        self._samples, self._count, self._voices = samples, count, voices
        self._levels_db, self._seed = levels_db, seed
        self._numbers = FreshNumbers(count, fresh=fresh)
        self.begin_epoch = self._numbers.begin_epoch

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        draw = self._draws(self._number(index))
        return self._mixed(self._picked(draw), draw)

    def _number(self, index: int) -> int:
        """Return the number of the mixture: with `fresh` another one each time."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._numbers.number(index)

    def _mixed(
        self, picked: Sequence[tuple[int, int]], draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        utterances = [self._recordings(who)[place] for who, place in picked]
        pieces = [cut_piece(utterance, self._samples, draw) for utterance in utterances]
        low, high = self._levels_db
        levels = low + (high - low) * torch.rand(self._voices, generator=draw)
        return mix_at_levels(torch.stack(pieces), levels)

    def chosen(self, index: int) -> list[tuple[int, int]]:
        """Return for each voice of a mixture the place of its speaker, and of the utterance.

        The background stands behind the speakers. With `fresh`, those of the first time that it is
        asked for.
        """
        return self._picked(self._draws(index))

    def _recordings(self, who: int) -> Sequence[Tensor]:
        if who < len(self._speakers):
            return self._speakers[who]
        assert self._background is not None
        return self._background

    def _draws(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed * 1_000_000_007 + number)

    def _picked(self, draw: torch.Generator) -> list[tuple[int, int]]:
        order = torch.randperm(len(self._speakers), generator=draw)[: self._talking].tolist()
        if self._background is not None:
            order.append(len(self._speakers))
        return [(who, draw_number(0, len(self._recordings(who)), draw)) for who in order]


def cut_piece(utterance: Tensor, samples: int, draw: torch.Generator) -> Tensor:
    """Return a piece of an utterance that is no silence, filled to the length asked for.

    Shape: (t,) -> (samples,)

    Raises:
        UsageError: all pieces that were drawn are silent.
    """
    spare = len(utterance) - samples
    if spare <= 0:
        piece = torch.zeros(samples)
        at = draw_number(0, 1 - spare, draw)
        piece[at : at + len(utterance)] = utterance
        return piece
    for _ in range(MAX_TRIES):
        at = draw_number(0, spare + 1, draw)
        piece = utterance[at : at + samples]
        if piece.square().mean().sqrt() > SILENCE:
            return piece
    raise UsageError(f"Mixtures: {MAX_TRIES} pieces of one utterance were silent; leave it out")


def draw_number(low: int, high: int, draw: torch.Generator) -> int:
    """Draw a whole number from `low` to below `high`."""
    return int(torch.randint(low, high, (), generator=draw))
