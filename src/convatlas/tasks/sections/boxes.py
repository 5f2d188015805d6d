"""What the report shows of boxes: figures by class, curves, and images with what was found."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape
from PIL import Image

from convatlas.data.boxes.boxes import Boxes
from convatlas.data.images.annotated import AnnotatedData
from convatlas.errors import DataError
from convatlas.explain.boxes.draw import draw_judged
from convatlas.explain.boxes.evaluation import BoxEvaluation
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import framed, label
from convatlas.tasks.sections.page import render
from convatlas.text import count_text, printable
from convatlas.train.box_figures import MAP, MAP_50

MAX_IMAGES_SHOWN = 12  # images with boxes
SHOWN_SIDE = 320  # pixels of their longer side
MAX_CURVES = 12  # classes whose curve is drawn: those with most boxes
CURVE_POINTS = 200


def show_boxes(
    evaluation: BoxEvaluation, data: AnnotatedData[Boxes], scan: Mapping[str, Any]
) -> ReportContent:
    """Return the parts of the report: headline, figures by class, images, what the data hold."""
    low, high = evaluation.interval
    figures, metric = evaluation.figures, evaluation.metric
    return ReportContent(
        sentence=f"It finds objects on {len(evaluation):,} unseen images with {MAP_50.words} of "
        f"{MAP_50.text(figures[MAP_50.key])} and {MAP.words} of {MAP.text(figures[MAP.key])}.",
        notes=[f"{metric.words} between {low:.1%} and {high:.1%} with 95 % confidence"],
        sections=[_by_class(evaluation), _found(evaluation, data)],
        data=_held(scan),
    )


def _by_class(evaluation: BoxEvaluation) -> Section:
    heads, rows, _ = evaluation.table()
    curves = {"boxes": [("precision over recall", _curves(evaluation))]}
    values: Mapping[str, Any] = {"heads": heads, "rows": rows}
    return Section(
        "boxes",
        "Boxes by class",
        lambda pictures: render("boxes.html.j2", {**values, "figures": pictures}),
        curves,
    )


def _curves(evaluation: BoxEvaluation) -> Any:
    import plotly.graph_objects as go

    order = sorted(
        range(len(evaluation.classes)), key=lambda k: -evaluation.matches[k].truths.sum()
    )
    figure = go.Figure()
    for place in order[:MAX_CURVES]:
        recall, precision = evaluation.matches[place].curve()
        step = max(1, len(recall) // CURVE_POINTS)
        figure.add_scatter(
            x=[round(float(x), 4) for x in recall[::step]],
            y=[round(float(y), 4) for y in precision[::step]],
            name=label(evaluation.classes[place]),
            mode="lines",
        )
    framed(figure, "recall", "precision at an overlap of 0.5")
    return figure.update_layout(xaxis_range=[0, 1.02], yaxis_range=[0, 1.02])


def _found(evaluation: BoxEvaluation, data: AnnotatedData[Boxes]) -> Section:
    misses = evaluation.misses()
    told = {place: f"{wrong} wrong, {missed} missed" for place, wrong, missed in misses}
    # Half of them with most faults, the rest from the front: those may be right throughout.
    order = [place for place, _, _ in misses[: MAX_IMAGES_SHOWN // 2]]
    order += [place for place in range(len(evaluation)) if place not in order]
    shown = []
    for place in order[:MAX_IMAGES_SHOWN]:
        picture = _picture(evaluation, data, place)
        if picture is not None:
            words = told.get(place, "all right")
            shown.append((picture, evaluation.files[place], words))
    values: Mapping[str, Any] = {
        "score": f"{evaluation.score:g}",
        "faulty": len(misses),
        "total": len(evaluation),
        "shown": shown,
        "width": SHOWN_SIDE,
    }
    return Section("found", "Images with boxes", lambda pictures: render("found.html.j2", values))


def _picture(evaluation: BoxEvaluation, data: AnnotatedData[Boxes], place: int) -> str | None:
    """One test image with its boxes; None where its file has gone since."""
    split = data.splits["test"]
    file = evaluation.files[place]
    if file not in split.files:
        return None
    try:
        image = split.read(split.files.index(file))
    except (DataError, OSError):
        return None
    sure, (boxes, labels) = evaluation.found[place].above(evaluation.score), evaluation.truth[place]
    drawn = draw_judged(image, sure, boxes, labels, evaluation.classes, SHOWN_SIDE)
    return _address(drawn)


def _address(picture: Image.Image) -> str:
    """The picture inside the page."""
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"


def _held(scan: Mapping[str, Any]) -> Markup:
    lines = []
    for split, counts in scan.get("per_class", {}).items():
        few = ", ".join(f"{printable(name)} {count:,}" for name, count in list(counts.items())[:20])
        lines.append(f"{split}: {count_text(sum(counts.values()), 'boxes')} ({few})")
    return Markup("<p>{}</p>").format(Markup("<br>").join(escape(line) for line in lines))
