"""How much clearer the voices are than the mixture, over all mixtures of a split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from convatlas.explain.mean_interval import mean_interval
from convatlas.explain.signals.speech_quality import quality_lines
from convatlas.metric import Metric
from convatlas.text import printable
from convatlas.train.tasks.separate import SI_SNRI

SI_SNR = Metric("si_snr_db", "SI-SNR", "dB")
WORST = 10  # mixtures in the table
FAILED_DB = 1.0  # a mixture whose voices are improved by less counts as not separated


@dataclass(frozen=True, eq=False)
class SeparationEvaluation:
    """Separated mixtures beside their true voices.

    Args:
        files: what the mixtures are called.
        before: SI-SNR in dB of the untouched mixture, mean of its voices. Shape: (n,)
        after: of the separated voices in their best order. Shape: (n,)
        speech: means of STOI and PESQ over some mixtures, where they could be computed.
        warnings: what was found in the data.
        seen: mixtures of what the network was trained on.
        shown: the separated voices of a few mixtures by place. Shape: each (voices, samples)
    """

    files: Sequence[str]
    before: Tensor
    after: Tensor
    speech: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seen: int = 0
    shown: Mapping[int, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def gains(self) -> Tensor:
        """Improvement of each mixture in dB. Shape: (n,)"""
        return self.after - self.before

    @property
    def figures(self) -> dict[str, float]:
        """Means over the mixtures."""
        return {
            SI_SNRI.key: float(self.gains.mean()),
            SI_SNR.key: float(self.after.mean()),
            **self.speech,
        }

    def with_findings(self, warnings: Sequence[str], seen: int) -> "SeparationEvaluation":
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
    def not_separated(self) -> int:
        """Mixtures whose voices are less than 1 dB clearer than the mixture was."""
        return int((self.gains < FAILED_DB).sum())

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        low, high = self.interval
        failed = f"; {self.not_separated} under {FAILED_DB:.0f} dB" if self.not_separated else ""
        return {
            "words": f"{SI_SNRI.text(float(self.gains.mean()))} on {len(self)} mixtures "
            f"(95 % interval {low:.2f} to {high:.2f}{failed})",
            "interval": [low, high],
            "doubts": self._doubts(),
        }

    def _doubts(self) -> list[str]:
        if self.not_separated <= len(self) / 2:
            return []
        return [
            f"{self.not_separated} of {len(self)} mixtures are made less than {FAILED_DB:.0f} dB "
            "clearer: it hardly separates voices; more time or more speakers may help"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        rows = zip(self.files, self.before.tolist(), self.after.tolist(), strict=True)
        return {
            "mixtures": [
                {"mixture": name, "si_snr_before_db": before, "si_snr_db": after}
                for name, before, after in rows
            ],
            "not_separated": self.not_separated,
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the mixtures that are separated worst."""
        heads = ("mixture, worst first", "SI-SNR before", "after", "improvement")
        rows = [
            (
                printable(self.files[place]),
                f"{float(self.before[place]):.2f} dB",
                f"{float(self.after[place]):.2f} dB",
                f"{float(self.gains[place]):.2f} dB",
            )
            for place in self.gains.argsort()[:WORST].tolist()
        ]
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        improved = f"improvement of SI-SNR {self.record()['words']}"
        return [improved, *quality_lines(self.speech, len(self))]


def telling_places(gains: Tensor) -> list[int]:
    """Return the places of the smallest, a middling and the largest value, each once."""
    order = gains.argsort().tolist()
    return list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))
