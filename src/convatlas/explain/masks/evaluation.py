"""What a segmenter answered on images with masks, and how sure its figures are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from convatlas.metric import Metric
from convatlas.text import format_number, printable
from convatlas.train.mask_figures import MEAN_IOU, MaskFigures

RAND = Metric("rand_score", "Rand score", "%")
DRAWS = 1000  # of the bootstrap
FEW_IMAGES = 10  # below which an interval over images says little


@dataclass(frozen=True, eq=False)
class MaskEvaluation:
    """Masks that were found beside the true ones.

    Args:
        files: the images as people know them.
        counts: pixels of each image by true and found class. Shape: int64 (n, k, k)
        classes: the class map.
        rand: Rand score of the regions of the second class, of each image, where there are two
            classes. Shape: (n,)
        warnings: what was found in the data.
        seen: images among them that the network was trained on.
        shown: the masks of a few images by place. Shape: each uint8 (h, w)
    """

    files: Sequence[str]
    counts: Tensor
    classes: Sequence[str]
    rand: Tensor | None = None
    warnings: tuple[str, ...] = ()
    seen: int = 0
    shown: Mapping[int, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def total(self) -> MaskFigures:
        """Of all pixels of all images together."""
        return MaskFigures(self.counts.sum(0))

    @property
    def by_image(self) -> Tensor:
        """Mean IoU of each image alone, over the classes that are on it or were found. (n,)"""
        return torch.tensor([MaskFigures(each).mean_iou for each in self.counts])

    @property
    def figures(self) -> dict[str, float]:
        """Mean IoU and Dice over classes, right pixels, and the Rand score of two classes."""
        further = {} if self.rand is None else {RAND.key: float(self.rand.mean())}
        return {**self.total.figures(), **further}

    def with_findings(self, warnings: Sequence[str], seen: int) -> "MaskEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean IoU lies with 95 % confidence: images drawn anew with replacement."""
        if len(self) < 2:
            return self.total.mean_iou, self.total.mean_iou
        random = torch.Generator().manual_seed(0)
        drawn = torch.randint(len(self), (DRAWS, len(self)), generator=random)
        times = torch.zeros(DRAWS, len(self), dtype=torch.float64)
        times.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
        k = len(self.classes)
        tables = (times @ self.counts.reshape(len(self), -1).double()).reshape(DRAWS, k, k)
        values = torch.tensor([MaskFigures(table).mean_iou for table in tables])
        low, high = torch.quantile(values.double(), torch.tensor([0.025, 0.975]).double()).tolist()
        return low, high

    @property
    def commonest(self) -> tuple[str, float]:
        """The class of most pixels, and the mean IoU of finding nothing else."""
        truth = self.counts.sum((0, 2))
        place = int(truth.argmax())
        always = torch.zeros_like(self.counts[0])
        always[:, place] = truth
        return self.classes[place], MaskFigures(always).mean_iou

    @property
    def telling(self) -> list[int]:
        """Places of the worst, a middling and the best image, each once."""
        order = self.by_image.argsort().tolist()
        return list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        low, high = self.interval
        label, share = self.commonest
        return {
            "words": f"{MEAN_IOU.text(self.total.mean_iou, 2)} on {len(self)} images "
            f"(95 % interval {low:.2%} to {high:.2%}; always {printable(label)} gives {share:.2%})",
            "interval": [low, high],
            "doubts": self._doubts(low),
        }

    def _doubts(self, low: float) -> list[str]:
        doubts, total = [], self.total
        found = total.counts.sum(0)
        there = total.counts.sum(1) > 0
        label, share = self.commonest
        if int((found > 0).sum()) == 1:
            doubts.append(
                f"every pixel is taken for {printable(self.classes[int(found.argmax())])}: it has "
                "learned nothing of the others; more time or class weights may help"
            )
        elif low <= share:
            doubts.append(
                f"the mean IoU is not surely above the {share:.2%} of always {printable(label)}"
            )
        missed = [c for c, n, t in zip(self.classes, found, there, strict=True) if t and not n]
        if missed and len(missed) < len(self.classes) - 1:
            doubts.append(f"never found: {', '.join(map(printable, missed))}")
        if len(self) < FEW_IMAGES:
            doubts.append(
                f"{len(self)} images tell little of others: the interval knows only how these vary"
            )
        return doubts

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        total = self.total
        return {
            "images": [
                {"image": file, "mean_iou": value}
                for file, value in zip(self.files, self.by_image.tolist(), strict=True)
            ],
            "classes": [
                {
                    "class": label,
                    "iou": _number(total.iou[place]),
                    "dice": _number(total.dice[place]),
                    "pixels": int(total.counts[place].sum()),
                    "found": int(total.counts[:, place].sum()),
                }
                for place, label in enumerate(self.classes)
            ],
            "confusion": total.counts.tolist(),
            "interval": list(self.interval),
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the figures by class."""
        heads = ("class", "IoU", "Dice", "true pixels", "found pixels")
        total, rows = self.total, []
        for place, label in enumerate(self.classes):
            iou, dice = (_number(values[place]) for values in (total.iou, total.dice))
            rows.append(
                (
                    printable(label),
                    "-" if iou is None else f"{iou:.1%}",
                    "-" if dice is None else f"{dice:.1%}",
                    format_number(int(total.counts[place].sum())),
                    format_number(int(total.counts[:, place].sum())),
                )
            )
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        figures = self.figures
        rest = f"Dice {figures['mean_dice']:.1%}, right pixels {figures['pixel_accuracy']:.1%}"
        if self.rand is not None:
            rest += f", Rand score of {printable(self.classes[1])} {figures[RAND.key]:.1%}"
        return [f"mean IoU {self.record()['words']}", rest]


def _number(value: Tensor) -> float | None:
    """A figure for JSON; None where it is not a number."""
    return None if bool(value.isnan()) else float(value)
