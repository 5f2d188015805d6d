"""What the report shows of masks: the true ones beside those that were found, figures by class."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape
from torch import Tensor

from convatlas.data.images.annotated import AnnotatedData
from convatlas.data.masks.mask_files import Mask, read_mask
from convatlas.errors import DataError
from convatlas.explain.masks.draw import class_colours, overlay
from convatlas.explain.masks.evaluation import MaskEvaluation
from convatlas.explain.pictures import data_uri
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.page import render
from convatlas.text import format_number, printable

SIDE = 320  # pixels of a picture


def show_masks(evaluation: MaskEvaluation, data: AnnotatedData[Mask]) -> ReportContent:
    """Return the parts of the report: headline, pictures of masks, figures by class, the data."""
    low, high = evaluation.interval
    figures, (label, share) = evaluation.figures, evaluation.commonest
    notes = [
        f"between {low:.1%} and {high:.1%} with 95 % confidence, images drawn anew",
        f"{share:.1%} is what {printable(label)} everywhere would give",
    ]
    return ReportContent(
        sentence=f"Its masks of {len(evaluation):,} unseen images share {figures['mean_iou']:.1%} "
        f"of their area with the true ones (mean IoU of {len(data.classes)} classes); "
        f"{figures['pixel_accuracy']:.1%} of the pixels are right.",
        notes=notes,
        sections=[_masks(evaluation, data)],
        data=_pixels(data),
    )


def _masks(evaluation: MaskEvaluation, data: AnnotatedData[Mask]) -> Section:
    shown = [
        each
        for place in evaluation.telling
        if (each := _pictures(evaluation, data, place)) is not None
    ]
    heads, rows, _ = evaluation.table()
    colours = ["#{:02x}{:02x}{:02x}".format(*c) for c in class_colours(len(data.classes)).tolist()]
    values: Mapping[str, Any] = {
        "total": len(evaluation),
        "shown": shown,
        "legend": list(zip(data.classes, colours, strict=True)),
        "heads": heads,
        "rows": rows,
    }
    return Section("masks", "Masks", lambda pictures: render("masks.html.j2", values))


def _pictures(
    evaluation: MaskEvaluation, data: AnnotatedData[Mask], place: int
) -> tuple[str, float, list[tuple[str, str]]] | None:
    """An image, its true mask and the one found; None where the data have gone."""
    split = data.splits["test"]
    try:
        image, truth = split.read(place), read_mask(split, place)
    except (DataError, OSError):  # the rest of the report stands
        return None
    found = evaluation.shown.get(place)
    masks = [("true mask", truth)] + ([] if found is None else [("found mask", found)])
    pictures = [("image", data_uri(image, side=SIDE))]
    pictures += [(name, _drawn(image, mask, len(data.classes))) for name, mask in masks]
    iou = float(evaluation.by_image[place])
    return evaluation.files[place], iou, pictures


def _drawn(image: Tensor, mask: Tensor, classes: int) -> str:
    return data_uri(overlay(image, mask, classes), side=SIDE)


def _pixels(data: AnnotatedData[Mask]) -> Markup:
    lines = []
    for name, split in data.splits.items():
        counts = data.kind.count(split.targets, len(data.classes))
        total = max(1, sum(counts))
        shares = ", ".join(
            f"{printable(label)} {count / total:.1%}"
            for label, count in zip(data.classes, counts, strict=True)
        )
        lines.append(f"{name}: {len(split):,} images, {format_number(total)} pixels: {shares}")
    return Markup("<p>{}</p>").format(Markup("<br>").join(escape(line) for line in lines))
