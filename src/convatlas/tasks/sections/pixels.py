"""What the report shows of predicted values: bits beside simple codes, images that are drawn."""

from typing import Any

from markupsafe import Markup

from convatlas.data.pixels.pixel_data import PixelData
from convatlas.explain.pixels.evaluation import NETWORK, PixelEvaluation
from convatlas.explain.pixels.sheet import image_grid
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import BLUE, framed, png_address
from convatlas.tasks.sections.page import render
from convatlas.text import printable_few
from convatlas.train.tasks.generate import BITS_PER_DIM

ROW = 8  # images beside each other


def show_pixels(evaluation: PixelEvaluation, data: PixelData) -> ReportContent:
    """Return the parts of the report: headline, bits by code, drawn images, the data."""
    low, high = evaluation.interval
    others = " and ".join(
        f"{name} {BITS_PER_DIM.text(evaluation.mean(name))}"
        for name in evaluation.bits
        if name != NETWORK
    )
    return ReportContent(
        sentence=f"It describes each value of {len(evaluation):,} unseen images in "
        f"{BITS_PER_DIM.text(evaluation.mean(NETWORK))} on average; {others}.",
        notes=[f"between {low:.4g} and {high:.4g} with 95 % confidence, images drawn anew"],
        sections=[_section(evaluation)],
        data=Markup("<p>{}</p>").format(data.summary()),
    )


def _section(evaluation: PixelEvaluation) -> Section:
    heads, rows, _ = evaluation.table()
    drawn, classes = evaluation.drawn, evaluation.facts.classes
    values: dict[str, Any] = {
        "heads": heads,
        "rows": rows,
        "total": f"{len(evaluation):,}",
        "levels": evaluation.facts.levels,
        "sheet": None,
        "classes": printable_few(classes, 10) if evaluation.facts.told else "",
    }
    if drawn is not None:
        images = list(drawn.images)
        sheet = image_grid([images[i : i + ROW] for i in range(0, len(images), ROW)])
        values |= {
            "sheet": png_address(sheet),
            "completed": png_address(image_grid(drawn.halves)),
            "count": len(images),
        }
    return Section(
        "pixels",
        "Bits per value, and drawn images",
        lambda pictures: render("pixels.html.j2", {**values, "figures": pictures}),
        {"pixels": [("bits per value", _spread(evaluation))]},
    )


def _spread(evaluation: PixelEvaluation) -> Any:
    """Return how many bits the images need: a histogram."""
    import plotly.graph_objects as go

    bits = evaluation.bits[NETWORK].tolist()
    figure = go.Figure(go.Histogram(x=bits, nbinsx=60, marker={"color": BLUE}))
    return framed(figure, "bits per value", "images")
