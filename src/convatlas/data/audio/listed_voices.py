"""Mixtures that lie in files, with a clip or a vector of the wanted speaker, as a list has them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.audio.enrolled_mixers import Asked
from convatlas.data.audio.enrolled_mixtures import cut_clip
from convatlas.data.audio.fresh_numbers import FreshNumbers
from convatlas.data.audio.mixers import aligned
from convatlas.data.audio.mixtures import MAX_TRIES, SILENCE
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.audio.speaker_vector import read_vector


class ListedRow(NamedTuple):
    """A row of a list: files of the mixture, of the wanted voice alone, and of the clip.

    In place of the clip the speaker's vector may stand, as `read_vector` takes it.
    """

    mixture: str
    target: str
    enrolment: str


class ListedVoices:
    """Mixtures that lie in files, each with the files of the wanted voice and of the clip.

    Args:
        rows: files, relative to the source.
        seed: of the places that pieces are cut from.
    """

    def __init__(self, store: SoundStore, rows: Sequence[ListedRow], seed: int = 0):
        self.store, self.rows, self.seed = store, list(rows), seed

    @property
    def files(self) -> list[str]:
        """The files of all rows, each once."""
        return list(dict.fromkeys(file for row in self.rows for file in self.sounds(row)))

    def __len__(self) -> int:
        return len(self.rows)

    def sounds(self, row: ListedRow) -> tuple[str, ...]:
        """Return the sound files of a row, that of the mixture first."""
        return row

    def told(self, row: ListedRow) -> Tensor:
        """Return what tells the speaker: the whole clip. Shape: float32 (u,)"""
        return self.store.read(row.enrolment)

    def told_piece(self, row: ListedRow, samples: int, draw: torch.Generator) -> Tensor:
        """Return a piece of the clip. Shape: float32 (samples,)"""
        return cut_clip(self.told(row), samples, draw)

    def pieces(self, samples: int, clip_samples: int, *, fresh: bool = False) -> "_ListedPieces":
        """Return pieces of mixtures (t,), clips (u,) and wanted voices (t,), of these lengths.

        Args:
            fresh: a number gives other pieces each time that it is asked for.
        """
        return _ListedPieces(self, samples, clip_samples, fresh=fresh)

    def whole(self, index: int) -> Asked:
        """Return one mixture, as long as the shorter of it and the wanted voice.

        Where another row asks the same mixture for another voice, that is the other one.

        Raises:
            DataError: their lengths differ by more than resampling explains.
        """
        row = self.rows[index]
        mixture, voice = aligned(self.store, [row.mixture, row.target])
        clip, other = self.told(row), self._other(index)
        if other is None:
            return Asked(mixture, clip, voice, mixture - voice)
        _, second = aligned(self.store, [row.mixture, other.target])
        shared = min(len(mixture), len(second))
        return Asked(
            mixture[:shared],
            clip,
            voice[:shared],
            second[:shared],
            self.told(other),
        )

    def _other(self, index: int) -> ListedRow | None:
        row = self.rows[index]
        return next((r for r in self._asking.get(row.mixture, []) if r.target != row.target), None)

    @cached_property
    def _asking(self) -> dict[str, list[ListedRow]]:
        found: dict[str, list[ListedRow]] = {}
        for row in self.rows:
            found.setdefault(row.mixture, []).append(row)
        return found

    def behind(self, index: int) -> list[str]:
        """Return the files of one mixture, of its voices and clips, each once."""
        other = self._other(index)
        more = () if other is None else self.sounds(other)[1:]
        return list(dict.fromkeys([*self.sounds(self.rows[index]), *more]))

    def title(self, index: int) -> str:
        """Return the files of one mixture and its clip."""
        row = self.rows[index]
        return f"{row.mixture}, wanted as in {row.enrolment}"

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        return {"rows": [list(row) for row in self.rows], "seed": self.seed}


class ListedVectors(ListedVoices):
    """The same with a vector of the speaker in place of the clip."""

    def sounds(self, row: ListedRow) -> tuple[str, ...]:
        """Return the sound files of a row, that of the mixture first."""
        return row[:2]

    def told(self, row: ListedRow) -> Tensor:
        """Return the vector of the speaker. Shape: float32 (features,)"""
        return read_vector(row.enrolment, self.store.root)

    def told_piece(self, row: ListedRow, samples: int, draw: torch.Generator) -> Tensor:
        """Return the vector of the speaker, which has no pieces. Shape: float32 (features,)"""
        return self.told(row)

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        return {**super().stored(), "vectors": True}


class _ListedPieces(Dataset[tuple[Tensor, ...]]):
    def __init__(self, mixer: ListedVoices, samples: int, clip_samples: int, *, fresh: bool):
        self._mixer, self._samples, self._clip_samples = mixer, samples, clip_samples
        self._numbers = FreshNumbers(len(mixer), fresh=fresh)
        self.begin_epoch = self._numbers.begin_epoch

    def __len__(self) -> int:
        return len(self._mixer)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        mixer, row = self._mixer, self._mixer.rows[index]
        number = self._numbers.number(index)
        draw = torch.Generator().manual_seed(mixer.seed * 1_000_000_007 + number)
        mixture, voice = aligned(mixer.store, [row.mixture, row.target])
        mixture, voice = _cut_both(mixture, voice, self._samples, draw)
        return mixture, mixer.told_piece(row, self._clip_samples, draw), voice


def _cut_both(
    mixture: Tensor, voice: Tensor, samples: int, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut both at one place, where the wanted voice is heard if there is one."""
    spare = len(mixture) - samples
    if spare <= 0:
        pad = torch.nn.functional.pad
        return pad(mixture, (0, -spare)), pad(voice, (0, -spare))
    at = 0
    for _ in range(MAX_TRIES):
        at = int(torch.randint(0, spare + 1, (), generator=draw))
        if voice[at : at + samples].square().mean().sqrt() > SILENCE:
            break
    return mixture[at : at + samples], voice[at : at + samples]
