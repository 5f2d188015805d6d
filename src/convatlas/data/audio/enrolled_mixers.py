"""Where mixtures with an enrolment clip come from; clean speech that is mixed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.audio.enrolled_mixtures import EnrolledMixtures
from convatlas.data.audio.mixers import JUDGED_SECONDS, Speech
from convatlas.data.audio.sound_data import SoundStore


@dataclass(frozen=True, eq=False)
class Asked:
    """One mixture with what is asked of it, and what else is known of it.

    Args:
        mixture: Shape: float32 (t,)
        clip: of the wanted speaker, from another recording, or the speaker's vector. Shape:
            float32 (u,)
        voice: of the wanted speaker in the mixture. Shape: float32 (t,)
        other: the other voice, or all that is left of the mixture. Shape: float32 (t,)
        other_clip: of the speaker of `other`, where there is one. Shape: float32 (u,)
    """

    mixture: Tensor
    clip: Tensor
    voice: Tensor
    other: Tensor
    other_clip: Tensor | None = None


class EnrolledMixer(Protocol):
    """Where mixtures come from that a speaker's voice is asked of.

    Attributes:
        files: the sound files behind them, relative to the source.
    """

    @property
    def files(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def pieces(
        self, samples: int, clip_samples: int, *, fresh: bool = False
    ) -> Dataset[tuple[Tensor, ...]]:
        """Return mixtures (t,), clips (u,) and wanted voices (t,), all of these lengths.

        Args:
            fresh: a number gives another mixture and clip each time that it is asked for.
        """
        ...

    def whole(self, index: int) -> Asked:
        """Return one mixture as an extractor is judged by it."""
        ...

    def behind(self, index: int) -> list[str]:
        """Return the files behind one mixture and its clips, each once."""
        ...

    def title(self, index: int) -> str:
        """Return what one mixture and its clip are called."""
        ...

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        ...


class Recordings(Sequence[Tensor]):
    """The recordings of one speaker, each read when it is asked for; one alone may be halved."""

    def __init__(self, store: SoundStore, files: Sequence[str], *, halved: bool):
        self._store, self._files, self._halved = store, list(files), halved and len(files) == 1

    def __len__(self) -> int:
        return 2 if self._halved else len(self._files)

    def __getitem__(self, index: Any) -> Any:
        if not self._halved:
            return self._store.read(self._files[index])
        sound = self._store.read(self._files[0])
        middle = len(sound) // 2
        return sound[:middle] if index == 0 else sound[middle:]

    def file(self, index: int) -> str:
        """Return the file that a recording lies in."""
        return self._files[0] if self._halved else self._files[index]


class EnrolledSpeech(Speech):
    """Mixes clean speech of different speakers, the first of whom is wanted.

    Args:
        clip_seconds: of a clip, where all have to be of one length.
        halved: speakers whose only recording is cut in two: one half is mixed, the other one tells
            who is wanted.
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
        clip_seconds: float,
        halved: Sequence[str] = (),
    ):
        super().__init__(
            store, files, speakers, count=count, voices=voices, level_db=level_db, seed=seed
        )
        self.clip_seconds, self.halved = clip_seconds, list(halved)

    @cached_property
    def _recordings(self) -> dict[str, Recordings]:
        return {
            who: Recordings(self.store, files, halved=who in self.halved)
            for who, files in self.by_speaker.items()
        }

    @cached_property
    def _judged(self) -> EnrolledMixtures:
        rate_hz = self.store.rate_hz
        return self.pieces(round(JUDGED_SECONDS * rate_hz), round(self.clip_seconds * rate_hz))

    def pieces(self, samples: int, clip_samples: int, *, fresh: bool = False) -> EnrolledMixtures:
        """Return mixtures (t,), clips (u,) and wanted voices (t,), all of these lengths.

        Args:
            fresh: a number gives another mixture and clip each time that it is asked for.
        """
        half = self.level_db / 2
        return EnrolledMixtures(
            self._recordings,
            samples,
            self.count,
            clip_samples=clip_samples,
            voices=self.voices,
            levels_db=(-half, half),
            seed=self.seed,
            fresh=fresh,
        )

    def whole(self, index: int) -> Asked:
        """Return one mixture of four seconds with its clips."""
        mixture, voices, clips = self._judged.whole(index)
        assert clips[0] is not None
        return Asked(mixture, clips[0], voices[0], voices[1], clips[1])

    def behind(self, index: int) -> list[str]:
        """Return the recordings that one mixture and its clips are made of, each once."""
        mixed, clips = self._places(index)
        return list(dict.fromkeys([*mixed, *(file for file in clips if file is not None)]))

    def title(self, index: int) -> str:
        """Return the names of the recordings in one mixture, and of the clip's."""
        mixed, clips = self._places(index)
        mixture = " + ".join(file.rpartition("/")[2] for file in mixed)
        return f"{mixture}, wanted as in {str(clips[0]).rpartition('/')[2]}"

    def _places(self, index: int) -> tuple[list[str], list[str | None]]:
        by_place = list(self._recordings.values())
        picked, clips = self._judged.chosen(index), self._judged.clips(index)
        return [by_place[who].file(which) for who, which in picked], [
            None if clip is None else by_place[who].file(clip)
            for (who, _), clip in zip(picked, clips, strict=True)
        ]

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        return {**super().stored(), "halved": self.halved}
