"""Speech for the extraction of one voice: mixtures, each with a clip of the wanted speaker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.utils.data import Dataset, Subset

from convatlas.data.audio.enrolled_mixers import Asked, EnrolledMixer
from convatlas.data.audio.enrolment_clip import MIN_CLIP_SECONDS
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.sound_file import MAX_RATE_HZ, MIN_RATE_HZ, duration
from convatlas.data.audio.speaker_vector import MAX_FEATURES, MIN_FEATURES
from convatlas.data.audio.voice_data import MAX_VOICES, SPEAKERS, save_mixtures
from convatlas.data.scan_report import ScanReport

LISTED = "listed"  # the layout of a list of mixtures; the other one is `speakers`
STORED_FIELDS = (
    *("name", "source", "layout", "rate_hz", "voices", "seconds", "clip_seconds", "speaker"),
    *("max_seconds", "seed", "speaker_features"),
)
Speaker = Literal["trained", "statistics", "vector"]
VECTOR = "vector"  # the speaker is told by a vector from elsewhere, not by a clip


class ExtractionFacts(BaseModel):
    """What an extractor and its predictor have to know of the data.

    Args:
        rate_hz: at which the network hears.
        voices: in each mixture that is made.
        seconds: of a training example.
        clip_seconds: of the enrolment clip of a training example.
        speaker: what a clip becomes in the network: a trained embedding or statistics of its bands;
            or `vector`, where the data hold a vector in place of the clip.
        speaker_features: numbers of such a vector.
        max_seconds: of one file; a longer one is refused.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    rate_hz: Annotated[int, Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)]
    voices: Annotated[int, Field(ge=2, le=MAX_VOICES)]
    seconds: Annotated[float, Field(gt=0, le=60)]
    clip_seconds: Annotated[float, Field(ge=MIN_CLIP_SECONDS, le=60)]
    speaker: Speaker
    max_seconds: Annotated[float, Field(gt=0)] = MAX_SECONDS
    speaker_features: Annotated[int, Field(ge=MIN_FEATURES, le=MAX_FEATURES)] | None = None

    @model_validator(mode="after")
    def _told(self) -> "ExtractionFacts":
        if (self.speaker == VECTOR) != (self.speaker_features is not None):
            raise ValueError("speaker_features must be given for the speaker vector, and only then")
        return self


@dataclass(frozen=True, eq=False)
class ExtractionSplit:
    """A sequence of mixtures with clips; `rows` are places in the mixer."""

    mixer: EnrolledMixer
    rows: Sequence[int]

    @property
    def files(self) -> list[str]:
        """What the mixtures are called."""
        return [self.mixer.title(row) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one mixture and its clip. Shape: float32 (samples,) and (clip_samples,)"""
        asked = self.asked(index)
        return asked.mixture, asked.clip

    def asked(self, index: int) -> Asked:
        """Return one mixture with what is asked of it."""
        return self.mixer.whole(self.rows[index])

    def pieces(
        self, samples: int, clip_samples: int, *, fresh: bool = False
    ) -> Dataset[tuple[Tensor, ...]]:
        """Return all mixtures, clips and wanted voices, each of these lengths.

        Args:
            fresh: a number gives another mixture and clip each time that it is asked for, as
                training likes it.
        """
        return Subset(self.mixer.pieces(samples, clip_samples, fresh=fresh), self.rows)

    def behind(self, index: int) -> list[str]:
        """Return the files behind one mixture and its clips."""
        return self.mixer.behind(self.rows[index])

    def subset(self, indices: Iterable[int]) -> "ExtractionSplit":
        """Return the mixtures at these places, in this order; nothing is read."""
        return ExtractionSplit(self.mixer, [self.rows[index] for index in indices])


@dataclass(frozen=True, eq=False)
class ExtractionData:
    """Everything the main job needs to know of mixtures that one voice is asked of.

    Args:
        name: short, for titles.
        source: the absolute path of the folder or CSV file, in its stored form.
        root: where the files lie, relative to the folder (of the CSV file).
        layout: `speakers`, clean speech that is mixed here, or `listed`.
        rate_hz: at which the sounds are read; the next four are those of `ExtractionFacts`.
        splits: under `train`, `val` and `test`.
        scan: what was found before training.
        seed: of the splits and of the mixtures.
        digests: what the samples of each file are known by; none for a split that was stored.
    """

    name: str
    source: str
    root: str
    layout: Literal["speakers", "listed"]
    rate_hz: int
    voices: int
    seconds: float
    clip_seconds: float
    speaker: Speaker
    splits: dict[str, ExtractionSplit]
    scan: ScanReport
    seed: int
    max_seconds: float = MAX_SECONDS
    digests: Mapping[str, str] = field(default_factory=dict)
    speaker_features: int | None = None

    def facts(self) -> dict[str, Any]:
        """Return `ExtractionFacts` as JSON."""
        known = {key: getattr(self, key) for key in ExtractionFacts.model_fields}
        return ExtractionFacts(**known).model_dump(mode="json", exclude_none=True)

    def summary(self) -> str:
        """Return what is in it in a few words."""
        files = {file for split in self.splits.values() for file in split.mixer.files}
        told = f"clips of {duration(self.clip_seconds)}"
        if self.speaker == VECTOR:
            told = f"vectors of {self.speaker_features:,} numbers"
        made = "made of" if self.layout == SPEAKERS else "in"
        return (
            f"mixtures of {self.voices} voices, {made} {len(files):,} sounds at "
            f"{self.rate_hz:,} Hz, learnt in pieces of {duration(self.seconds)} with {told}"
        )

    def save(self, path: Path) -> None:
        """Write seed, scan and the files of each split as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        save_mixtures(path, "extraction", self, STORED_FIELDS)
