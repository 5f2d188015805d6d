"""Mixtures of voices, each with a clip of the wanted speaker from another utterance.

Source: the recipe of WSJ0-2mix-extr, whose lists name for each mixture another utterance of the
    target as reference (Xu, Rao, Chng, Li, 2020, arXiv:2004.14762, section 4).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from convatlas.data.audio.mixtures import LEVELS_DB, Mixtures, cut_piece, draw_number
from convatlas.errors import UsageError

CLIPS = 1 << 40  # between the numbers that mixtures are drawn by and those of their clips


class EnrolledMixtures(Mixtures):
    """Pieces of different speakers at drawn levels, the first of whom is wanted.

    A speaker with a single utterance is never wanted, and stands beside others alone.

    Args:
        speakers: utterances of each speaker, (t,) at one rate.
        samples: length of a mixture.
        count: number of mixtures.
        clip_samples: length of the clip, a piece of the other utterance, which is repeated where
            it is shorter; the whole utterance where not given.
        describe: turns a clip into the vector of its speaker; without it the clip itself is given.

    Yields (mixture (t,), clip (u,) or vector, voice (t,)). The further arguments are those of
    `Mixtures`.

    Raises:
        UsageError: as `Mixtures`, or no speaker has two utterances.
    """

    def __init__(
        self,
        speakers: Mapping[str, Sequence[Tensor]],
        samples: int,
        count: int,
        *,
        clip_samples: int | None = None,
        describe: Callable[[Tensor], Tensor] | None = None,
        voices: int = 2,
        levels_db: tuple[float, float] = LEVELS_DB,
        seed: int = 0,
        fresh: bool = False,
    ):
        super().__init__(
            speakers, samples, count, voices=voices, levels_db=levels_db, seed=seed, fresh=fresh
        )
        self._clip_samples, self._describe = clip_samples, describe
        self._wanted = [len(utterances) > 1 for utterances in self._speakers]
        if not any(self._wanted):
            raise UsageError(
                "EnrolledMixtures: some speaker must have 2 utterances or more, one to mix and "
                "one to tell the speaker by"
            )

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        number = self._number(index)
        draw = self._draws(number)
        picked = self._picked(draw)
        mixture, voices = self._mixed(picked, draw)
        clip = self._clip(number, picked, 0)
        assert clip is not None
        return mixture, clip if self._describe is None else self._describe(clip), voices[0]

    def whole(self, index: int) -> tuple[Tensor, Tensor, list[Tensor | None]]:
        """Return mixture, voices, and for each voice a clip of its speaker.

        There is none of a speaker with a single utterance. With `fresh`, the mixture is that of the
        first time that it is asked for.

        Shape: (t,), (voices, t), each clip (u,)
        """
        draw = self._draws(index)
        picked = self._picked(draw)
        mixture, voices = self._mixed(picked, draw)
        return mixture, voices, [self._clip(index, picked, v) for v in range(len(picked))]

    def clips(self, index: int) -> list[int | None]:
        """Return for each voice of a mixture the place of the utterance that its clip is of."""
        picked = self.chosen(index)
        return [self._clip_place(index, picked, voice)[0] for voice in range(len(picked))]

    def _picked(self, draw: torch.Generator) -> list[tuple[int, int]]:
        order = torch.randperm(len(self._speakers), generator=draw).tolist()
        first = next(who for who in order if self._wanted[who])
        others = [who for who in order if who != first][: self._voices - 1]
        return [(who, draw_number(0, len(self._speakers[who]), draw)) for who in (first, *others)]

    def _clip_place(
        self, number: int, picked: Sequence[tuple[int, int]], voice: int
    ) -> tuple[int | None, torch.Generator]:
        who, mixed = picked[voice]
        draw = self._draws(number + CLIPS * (1 + voice))
        others = [place for place in range(len(self._speakers[who])) if place != mixed]
        return (others[draw_number(0, len(others), draw)] if others else None), draw

    def _clip(self, number: int, picked: Sequence[tuple[int, int]], voice: int) -> Tensor | None:
        place, draw = self._clip_place(number, picked, voice)
        if place is None:
            return None
        utterance = self._speakers[picked[voice][0]][place]
        return cut_clip(utterance, self._clip_samples, draw)


def cut_clip(utterance: Tensor, samples: int | None, draw: torch.Generator) -> Tensor:
    """Return a piece that is no silence; a shorter utterance is repeated to the length asked for.

    Silence in its place would say something of the recording, and nothing of the speaker.

    Args:
        samples: of the piece; None takes the whole utterance.

    Shape: (t,) -> (samples,)
    """
    if samples is None:
        return utterance
    if len(utterance) < samples:
        return utterance.repeat(-(-samples // len(utterance)))[:samples]
    return cut_piece(utterance, samples, draw)
