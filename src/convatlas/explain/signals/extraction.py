"""How much clearer the wanted voice is than the mixture, and how often it is the wanted one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from convatlas.explain.classes.score import wilson_interval
from convatlas.explain.mean_interval import mean_interval
from convatlas.explain.signals.separation import FAILED_DB, WORST, telling_places
from convatlas.explain.signals.speech_quality import quality_lines
from convatlas.metric import Metric
from convatlas.text import printable
from convatlas.train.tasks.extract import SI_SDRI

SI_SDR = Metric("si_sdr_db", "SI-SDR", "dB")
RIGHT = Metric("right_speaker", "right speaker", "%")
OTHER = Metric("other_speaker", "other voice for the other speaker's clip", "%")
CHANCE = 0.5  # of picking the right one of two voices


@dataclass(frozen=True)
class Picked:
    """How often the right voice came out.

    Args:
        right: answers nearer to the wanted voice than to the other one, in SI-SDR.
        total: of all answers.
    """

    right: int
    total: int

    @property
    def share(self) -> float:
        """The right answers as a fraction of all."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % confidence (Wilson)."""
        return wilson_interval(self.right, self.total)

    def words(self) -> str:
        """Return share and interval."""
        low, high = self.interval
        return f"{self.share:.1%} (95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True, eq=False)
class ExtractionEvaluation:
    """Extracted voices beside the true ones.

    Args:
        files: what mixtures and clips are called.
        before: SI-SDR in dB of the untouched mixture against the wanted voice. Shape: (n,)
        after: of the extracted voice. Shape: (n,)
        right: whether the extracted voice is nearer to the wanted one than to the other.
        swapped: the same with the other speaker's clip and the other voice wanted; None where
            there is no such clip.
        speech: means of STOI and PESQ over some mixtures, where they could be computed.
        warnings: what was found in the data.
        seen: mixtures of what the network was trained on.
        shown: of a few mixtures by place, the voices that came out for the clip and, where there
            is one, for the other speaker's.
    """

    files: Sequence[str]
    before: Tensor
    after: Tensor
    right: Sequence[bool]
    swapped: Sequence[bool | None]
    speech: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seen: int = 0
    shown: Mapping[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def gains(self) -> Tensor:
        """Improvement of each mixture in dB. Shape: (n,)"""
        return self.after - self.before

    @property
    def picked(self) -> Picked:
        """How often the voice of the clip's speaker came out."""
        return Picked(sum(self.right), len(self.right))

    @property
    def followed(self) -> Picked | None:
        """How often the other speaker's clip gave the other voice; None without such clips."""
        asked = [each for each in self.swapped if each is not None]
        return Picked(sum(asked), len(asked)) if asked else None

    @property
    def figures(self) -> dict[str, float]:
        """Means and shares over the mixtures."""
        followed = self.followed
        return {
            SI_SDRI.key: float(self.gains.mean()),
            SI_SDR.key: float(self.after.mean()),
            RIGHT.key: self.picked.share,
            **({} if followed is None else {OTHER.key: followed.share}),
            **self.speech,
        }

    def with_findings(self, warnings: Sequence[str], seen: int) -> "ExtractionEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean improvement lies with 95 % confidence, mixtures taken as independent."""
        return mean_interval(self.gains)

    @property
    def telling(self) -> list[int]:
        """Places of the worst, a middling and the best mixture, each once."""
        return telling_places(self.gains)

    @property
    def not_extracted(self) -> int:
        """Mixtures whose wanted voice is less than 1 dB clearer than it was."""
        return int((self.gains < FAILED_DB).sum())

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        low, high = self.interval
        return {
            "words": f"{SI_SDRI.text(float(self.gains.mean()))} on {len(self)} mixtures (95 % "
            f"interval {low:.2f} to {high:.2f}), right speaker in {self.picked.words()}",
            "interval": [low, high],
            "doubts": self._doubts(),
        }

    def _doubts(self) -> list[str]:
        doubts = []
        if self.not_extracted > len(self) / 2:
            doubts.append(
                f"{self.not_extracted} of {len(self)} mixtures are made less than {FAILED_DB:.0f} "
                "dB clearer: it hardly extracts; more time or more speakers may help"
            )
        if self.picked.interval[0] <= CHANCE:
            doubts.append(
                f"the right speaker comes out in {self.picked.words()} of the mixtures, no more "
                "often than by chance: it hardly listens to the clip"
            )
        followed = self.followed
        if followed is not None and followed.interval[0] <= CHANCE < self.picked.interval[0]:
            doubts.append(
                f"given the other speaker's clip, the other voice comes out in {followed.words()} "
                "of the mixtures, no more often than by chance: it hardly listens to the clip"
            )
        return doubts

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        rows = zip(
            *(self.files, self.before.tolist(), self.after.tolist(), self.right, self.swapped),
            strict=True,
        )
        return {
            "mixtures": [
                {
                    "mixture": name,
                    "si_sdr_before_db": before,
                    "si_sdr_db": after,
                    "right_speaker": right,
                    "other_speaker": swapped,
                }
                for name, before, after, right, swapped in rows
            ],
            "not_extracted": self.not_extracted,
            "right_speaker_interval": list(self.picked.interval),
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the mixtures that are extracted worst."""
        heads = ("mixture, worst first", "SI-SDR before", "after", "improvement", "speaker")
        rows = [
            (
                printable(self.files[place]),
                f"{float(self.before[place]):.2f} dB",
                f"{float(self.after[place]):.2f} dB",
                f"{float(self.gains[place]):.2f} dB",
                "right" if self.right[place] else "wrong",
            )
            for place in self.gains.argsort()[:WORST].tolist()
        ]
        return heads, rows, heads[1:4]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        lines = [f"improvement of SI-SDR {self.record()['words']}"]
        if self.followed is not None:
            lines.append(f"{OTHER.words}: {self.followed.words()}")
        return [*lines, *quality_lines(self.speech, len(self))]
