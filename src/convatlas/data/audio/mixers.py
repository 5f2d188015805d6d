"""Where mixtures come from: clean speech that is mixed here, or mixtures beside their voices."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.audio.fresh_numbers import FreshNumbers
from convatlas.data.audio.mixtures import Mixtures
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.names import printable
from convatlas.errors import DataError

JUDGED_SECONDS = 4.0  # of a mixture that is made here to judge by


class Utterances(Sequence[Tensor]):
    """The recordings of one speaker, each read when it is asked for."""

    def __init__(self, store: SoundStore, files: Sequence[str]):
        self._store, self._files = store, list(files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Utterances(self._store, self._files[index])
        return self._store.read(self._files[index])


class Speech:
    """Clean speech of different speakers, to be mixed.

    Args:
        files: recordings, relative to the source; `speakers` says whose each is.
        count: number of mixtures.
        voices: in each.
        level_db: voices differ by up to so much.
        seed: another one gives other mixtures.
        background: among the speakers, what is none, such as `music`: one recording of it is the
            last voice of each mixture.
    """

    def __init__(
        self,
        store: SoundStore,
        files: Sequence[str],
        speakers: Sequence[str],
        *,
        count: int,
        voices: int,
        level_db: float,
        seed: int,
        background: str | None = None,
    ):
        self.store, self.files, self.speakers = store, list(files), list(speakers)
        self.count, self.voices, self.level_db, self.seed = count, voices, level_db, seed
        self.background = background

    def __len__(self) -> int:
        return self.count

    @cached_property
    def by_speaker(self) -> dict[str, list[str]]:
        """The recordings of each speaker; those of the background are last."""
        found: dict[str, list[str]] = {}
        for file, speaker in zip(self.files, self.speakers, strict=True):
            found.setdefault(speaker, []).append(file)
        if self.background is not None:
            found[self.background] = found.pop(self.background)
        return found

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixtures again, for JSON."""
        return {
            "files": self.files,
            "speakers": self.speakers,
            "count": self.count,
            "level_db": self.level_db,
            "seed": self.seed,
        }


class SpeechMixer(Speech):
    """Mixes clean speech of different speakers."""

    @cached_property
    def _judged(self) -> Mixtures:
        return self.pieces(round(JUDGED_SECONDS * self.store.rate_hz))

    def pieces(self, samples: int, *, fresh: bool = False) -> Mixtures:
        """Return mixtures (t,) and their voices (s, t), all of this many samples.

        Args:
            fresh: a number gives another mixture each time that it is asked for.
        """
        speech = {who: Utterances(self.store, files) for who, files in self.by_speaker.items()}
        behind = None if self.background is None else speech.pop(self.background)
        half = self.level_db / 2
        return Mixtures(
            speech,
            samples,
            self.count,
            voices=self.voices,
            levels_db=(-half, half),
            seed=self.seed,
            fresh=fresh,
            background=behind,
        )

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one mixture of four seconds, and its voices."""
        mixture, voices = self._judged[index]
        return mixture, voices

    def behind(self, index: int) -> list[str]:
        """Return the recordings that one mixture is made of."""
        by_place = list(self.by_speaker.values())
        return [by_place[who][which] for who, which in self._judged.chosen(index)]

    def title(self, index: int) -> str:
        """Return the names of the recordings in one mixture."""
        return " + ".join(file.rpartition("/")[2] for file in self.behind(index))


def aligned(store: SoundStore, files: Sequence[str]) -> list[Tensor]:
    """Read a mixture and what is in it, all as long as the shortest of them.

    Args:
        files: of the mixture, then of the voices.

    Raises:
        DataError: their lengths differ by more than resampling explains.
    """
    sounds = [store.read(file) for file in files]
    shortest, longest = min(map(len, sounds)), max(map(len, sounds))
    if longest - shortest > max(2, store.rate_hz // 100):
        raise DataError(
            f"{printable(files[0])}: mixture and voices must have one length, got "
            f"{shortest:,} to {longest:,} samples"
        )
    return [sound[:shortest] for sound in sounds]


class FileMixer:
    """Mixtures that lie in files, each with the files of its voices.

    Args:
        mixtures: files, relative to the source; `references` says which hold the voices of each.
        seed: of the places that pieces are cut from.
    """

    def __init__(
        self,
        store: SoundStore,
        mixtures: Sequence[str],
        references: Sequence[Sequence[str]],
        seed: int = 0,
    ):
        self.store, self.mixtures, self.seed = store, list(mixtures), seed
        self.references = [list(each) for each in references]

    @property
    def files(self) -> list[str]:
        """The mixtures."""
        return self.mixtures

    def __len__(self) -> int:
        return len(self.mixtures)

    def pieces(self, samples: int, *, fresh: bool = False) -> "_Pieces":
        """Return pieces of mixtures (t,) and their voices (s, t), all of this many samples.

        Args:
            fresh: a number gives another piece each time that it is asked for.
        """
        return _Pieces(self, samples, fresh=fresh)

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one mixture and its voices, as long as the shortest of them.

        Raises:
            DataError: their lengths differ by more than resampling explains.
        """
        mixture, *voices = aligned(self.store, self.behind(index))
        return mixture, torch.stack(voices)

    def behind(self, index: int) -> list[str]:
        """Return the files of one mixture and its voices."""
        return [self.mixtures[index], *self.references[index]]

    def title(self, index: int) -> str:
        """Return the file of one mixture."""
        return self.mixtures[index]

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        return {"files": self.mixtures, "references": self.references, "seed": self.seed}


class _Pieces(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, mixer: FileMixer, samples: int, *, fresh: bool):
        self._mixer, self._samples = mixer, samples
        self._numbers = FreshNumbers(len(mixer), fresh=fresh)
        self.begin_epoch = self._numbers.begin_epoch

    def __len__(self) -> int:
        return len(self._mixer)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        mixture, voices = self._mixer.whole(index)
        spare = len(mixture) - self._samples
        if spare < 0:
            pad = torch.nn.functional.pad
            return pad(mixture, (0, -spare)), pad(voices, (0, -spare))
        number = self._numbers.number(index)
        draw = torch.Generator().manual_seed(self._mixer.seed * 1_000_000_007 + number)
        at = int(torch.randint(0, spare + 1, (), generator=draw))
        return mixture[at : at + self._samples], voices[:, at : at + self._samples]
