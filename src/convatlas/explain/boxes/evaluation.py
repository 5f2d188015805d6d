"""What a detector answered on images with boxes, and how sure its figures are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from convatlas.explain.boxes.matching import Matches, match_class, mean_average_precision, verdicts
from convatlas.metric import Metric
from convatlas.models.detect.found import SURE_SCORE, Found
from convatlas.text import count_text, format_number, printable
from convatlas.train.box_figures import MAP, MAP_50, BoxFigures, box_figures

DRAWS = 200  # of the bootstrap
FEW_IMAGES = 10  # below which an interval over images says little
POOR = 0.05  # mean average precision below which it has learned next to nothing


@dataclass(frozen=True, eq=False)
class BoxEvaluation:
    """Boxes that were found beside the true ones.

    Args:
        files: the images as people know them.
        found: boxes of each image in its pixels, best first.
        truth: true boxes (k, 4) and labels (k,) of each.
        classes: the class map.
        ignored: crowds of each image, as `truth`; empty where there are none.
        metric: which average precision decides.
        warnings: what was found in the data.
        seen: images among them that the network was trained on.
        score: from which a box counts as found where examples are shown.
    """

    files: Sequence[str]
    found: Sequence[Found]
    truth: Sequence[tuple[Tensor, Tensor]]
    classes: Sequence[str]
    metric: Metric = MAP
    warnings: tuple[str, ...] = ()
    seen: int = 0
    ignored: Sequence[tuple[Tensor, Tensor]] = ()
    score: float = SURE_SCORE

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def by_class(self) -> BoxFigures:
        """Average precision of each class, by faster-coco-eval."""
        return box_figures(self.found, self.truth, len(self.classes), self.ignored)

    @cached_property
    def matches(self) -> list[Matches]:
        """Which boxes are right, by class."""
        places = range(len(self.classes))
        return [match_class(self.found, self.truth, k, self.ignored) for k in places]

    @property
    def figures(self) -> dict[str, float]:
        """Mean average precision at overlaps from 0.5 to 0.95, and at 0.5."""
        return self.by_class.figures()

    def with_findings(self, warnings: Sequence[str], seen: int) -> "BoxEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the metric lies with 95 % confidence: images drawn anew with replacement."""
        value = self.figures[self.metric.key]
        if len(self) < 2 or not any(match.scores.size for match in self.matches):
            return value, value
        random, place = np.random.default_rng(0), int(self.metric.key == MAP_50.key)
        drawn = random.multinomial(len(self), np.full(len(self), 1 / len(self)), DRAWS)
        values = [mean_average_precision(self.matches, times)[place] for times in drawn]
        low, high = np.quantile(values, (0.025, 0.975)).tolist()
        return low, high

    def operating_point(self, label: int) -> tuple[float, float, float]:
        """Return the score with the best F1 at an overlap of 0.5, with recall and precision."""
        match = self.matches[label]
        recall, precision = match.curve()
        if not len(recall) or not match.truths.sum():
            return SURE_SCORE, 0.0, 0.0
        place = int((2 * recall * precision / np.maximum(recall + precision, 1e-9)).argmax())
        return float(match.scores[place]), float(recall[place]), float(precision[place])

    def misses(self) -> list[tuple[int, int, int]]:
        """Return images with wrong or missed boxes, most first: place, wrong ones, missed ones."""
        rows = []
        for place, (found, (boxes, labels)) in enumerate(zip(self.found, self.truth, strict=True)):
            sure = found.above(self.score)
            crowds = self.ignored[place] if self.ignored else None
            right, seen = verdicts(sure, boxes, labels, crowds)
            rows.append((place, int((~right).sum()), int((~seen).sum())))
        faulty = [row for row in rows if row[1] + row[2]]
        return sorted(faulty, key=lambda row: (-(row[1] + row[2]), row[0]))

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        (low, high), figures = self.interval, self.figures
        other = MAP_50 if self.metric.key == MAP.key else MAP
        images = count_text(len(self), "images")
        return {
            "words": f"{self.metric.text(figures[self.metric.key])} on {images} "
            f"(95 % interval {low:.1%} to {high:.1%}; {other.words} "
            f"{other.text(figures[other.key])})",
            "interval": [low, high],
            "doubts": self._doubts(),
        }

    def _doubts(self) -> list[str]:
        doubts = []
        if self.figures[MAP_50.key] < POOR:
            doubts.append(
                f"{MAP_50.words} is below {POOR:.0%}: it has hardly learned to find anything; more "
                "time, or a larger network, may help"
            )
        never = [
            label
            for label, value, match in zip(
                self.classes, self.by_class.by_class_50.tolist(), self.matches, strict=True
            )
            if match.truths.sum() and value == 0
        ]
        if never:
            doubts.append(f"never found: {', '.join(map(printable, never))}")
        absent = [
            label
            for label, match in zip(self.classes, self.matches, strict=True)
            if not match.truths.sum()
        ]
        if absent:
            doubts.append(f"no true boxes of {', '.join(map(printable, absent))} to judge it by")
        if len(self) < FEW_IMAGES:
            doubts.append(
                f"{len(self)} images tell little of others: the interval knows only how these vary"
            )
        return doubts

    def rows(self) -> list[dict[str, Any]]:
        """Return the figures of each class; None where there is no true box."""
        rows = []
        for place, label in enumerate(self.classes):
            score, recall, precision = self.operating_point(place)
            truths = int(self.matches[place].truths.sum())
            rows.append(
                {
                    "class": label,
                    MAP.key: _number(self.by_class.by_class[place]),
                    MAP_50.key: _number(self.by_class.by_class_50[place]),
                    "score": score if truths else None,
                    "recall": recall if truths else None,
                    "precision": precision if truths else None,
                    "boxes": truths,
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        return {
            "images": len(self),
            "classes": self.rows(),
            "interval": list(self.interval),
            "score": self.score,
            "misses": [
                {"image": self.files[place], "wrong": wrong, "missed": missed}
                for place, wrong, missed in self.misses()
            ],
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the figures by class."""
        heads = ("class", "AP@0.5:0.95", "AP@0.5", "best score", "recall", "precision", "boxes")
        rows = [
            (
                printable(row["class"]),
                *(_percent(row[key]) for key in (MAP.key, MAP_50.key)),
                "-" if row["score"] is None else f"{row['score']:.2f}",
                *(_percent(row[key]) for key in ("recall", "precision")),
                format_number(row["boxes"]),
            )
            for row in self.rows()
        ]
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [f"{self.metric.words} {self.record()['words']}"]


def as_metric(evaluation: BoxEvaluation, metric: Metric) -> BoxEvaluation:
    """Return the same answers, judged by another average precision."""
    return replace(evaluation, metric=metric)


def _number(value: Tensor) -> float | None:
    """A figure for JSON; None where it is not a number."""
    return None if bool(value.isnan()) else float(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
