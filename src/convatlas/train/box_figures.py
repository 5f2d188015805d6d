"""Average precision of boxes as COCO defines it, computed by faster-coco-eval.

Source: Lin et al., "Microsoft COCO", ECCV 2014, arXiv:1405.0312; evaluation of cocodataset.org.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.metric import Metric

MAP = Metric("map_50_95", "mAP@0.5:0.95", "%")
MAP_50 = Metric("map_50", "mAP@0.5", "%")
METRICS = (MAP, MAP_50)
BEST_SCORE = "best_score"  # key of the score from which a box is worth showing
MAX_DETECTIONS = 100  # of an image that count, as COCO has it
Parts = tuple[Tensor, Tensor, Tensor]  # boxes, scores, labels


@dataclass(frozen=True, eq=False)
class BoxFigures:
    """Average precision by class.

    Args:
        by_class: at the mean of ten overlaps from 0.5 to 0.95; NaN without true boxes. (k,)
        by_class_50: at an overlap of 0.5. Shape: (k,)
        best_score: with the highest F1 at an overlap of 0.5 where boxes that score less are left
            out, averaged over the classes; None where no box is right.
    """

    by_class: Tensor
    by_class_50: Tensor
    best_score: float | None = None

    def figures(self) -> dict[str, float]:
        """Return the means over the classes that have true boxes, 0 where there are none."""
        means = {MAP.key: self.by_class.nanmean(), MAP_50.key: self.by_class_50.nanmean()}
        return {key: float(value.nan_to_num(0.0)) for key, value in means.items()}


def coco_library() -> ModuleType:
    """Return the library that computes average precision.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError:
        raise UsageError(
            "detection needs the package faster-coco-eval: pip install 'convatlas[boxes]'"
        ) from None
    return faster_coco_eval


def box_figures(
    found: Sequence[Parts],
    truth: Sequence[tuple[Tensor, Tensor]],
    classes: int,
    ignored: Sequence[tuple[Tensor, Tensor]] = (),
) -> BoxFigures:
    """Return average precision of the boxes found on some images.

    Args:
        found: boxes (d, 4), scores (d,) and labels (d,) of each image; a score of 0 is no box.
        truth: boxes (k, 4) and labels (k,) of each.
        ignored: the same of COCO's crowds: what lies in them counts neither as right nor as wrong.

    Raises:
        UsageError: the library is missing.
    """
    library = coco_library()
    annotations = [
        {"image_id": image, "category_id": label, "bbox": box, "iscrowd": crowd}
        | {"area": box[2] * box[3]}
        for crowd, rows in enumerate((truth, ignored))
        for image, (boxes, labels) in enumerate(rows)
        for box, label in zip(_sizes(boxes), labels.tolist(), strict=True)
    ]
    annotations = [{"id": place} | row for place, row in enumerate(annotations, start=1)]
    results = [
        {"image_id": image, "category_id": label, "bbox": box, "score": score}
        for image, (boxes, scores, labels) in enumerate(found)
        for box, score, label in zip(_sizes(boxes), scores.tolist(), labels.tolist(), strict=True)
        if score > 0
    ]
    if not results or not any(len(labels) for _, labels in truth):
        there = torch.cat([torch.zeros(0).long(), *(labels for _, labels in truth)])
        none = torch.where(there.bincount(minlength=classes) > 0, 0.0, torch.nan)
        return BoxFigures(none, none)
    known: dict[str, Any] = {
        "info": {},
        "images": [{"id": image, "height": 1, "width": 1} for image in range(len(truth))],
        "categories": [{"id": place, "name": str(place)} for place in range(classes)],
        "annotations": annotations,
    }
    true = library.COCO(known)
    judge = library.COCOeval_faster(true, true.loadRes(results), "bbox", print_function=_silent)
    judge.params.maxDets = [MAX_DETECTIONS]
    judge.evaluate()
    judge.accumulate()
    # Overlap, recall, class, area, most detections: all areas.
    precision = torch.as_tensor(judge.eval["precision"])[:, :, :, 0, -1]
    precision = torch.where(precision < 0, torch.nan, precision)
    recall = torch.as_tensor(judge.params.recThrs)
    scores = torch.as_tensor(judge.eval["scores"])[0, :, :, 0, -1]
    best = best_score(precision[0], recall, scores)
    return BoxFigures(precision.mean((0, 1)), precision[0].mean(0), best)


def best_score(precision: Tensor, recall: Tensor, scores: Tensor) -> float | None:
    """Return the score with the highest F1, averaged over the classes that have true boxes.

    A class keeps, of the recalls that its boxes above a score reach, the highest one's F1. The
    score is cut to three decimals, so that the last box that counts scores more.

    Args:
        precision: at each recall; NaN for a class without true boxes. Shape: (r, k)
        recall: rising. Shape: (r,)
        scores: of the box at which a class reaches each recall; 0 where it does not. (r, k)
    """
    judged = ~precision[0].isnan()
    precision, scores = precision[:, judged].double(), scores[:, judged].double()
    recall = recall[:, None].double()
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    tried = scores.unique()
    # The place of the highest recall that is reached by a score; -1 for none. Shape: (t, k)
    reached = (scores[None] >= tried[:, None, None]).sum(1) - 1
    values = f1.gather(0, reached.clamp(min=0)) * (reached >= 0)
    means = values.mean(1)
    place = int(means.argmax())
    return math.floor(1000 * float(tried[place])) / 1000 if float(means[place]) > 0 else None


def _sizes(boxes: Tensor) -> list[list[float]]:
    """Corner, width and height, as COCO has boxes."""
    corner = boxes[:, :2].double()
    return torch.cat((corner, boxes[:, 2:].double() - corner), dim=1).tolist()


def _silent(*_: Any) -> None:
    """Print nothing."""
