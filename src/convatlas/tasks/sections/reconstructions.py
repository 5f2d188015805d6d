"""What the report shows of images that are given back: errors, originals beside them, latents."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from PIL import Image

from convatlas.data.pixels.pixel_data import PixelData
from convatlas.explain.pixels.sheet import image_grid
from convatlas.explain.reconstructions.evaluation import (
    NETWORK,
    PCA,
    ReconstructionEvaluation,
    ShownImage,
)
from convatlas.explain.reconstructions.principal import PrincipalComponents
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import BLUE, framed, label, png_address
from convatlas.tasks.sections.page import render
from convatlas.train.tasks.reconstruct import MSE

MAX_LATENT_POINTS = 2000  # of the picture of latent numbers
MAX_COLOURED_CLASSES = 20  # that get a colour each


def show_reconstructions(evaluation: ReconstructionEvaluation, data: PixelData) -> ReportContent:
    """Return the parts of the report: headline, errors by way, images, latents, the data."""
    low, high = evaluation.interval
    mean = MSE.text(evaluation.mean(NETWORK))
    beside = f"; {evaluation.beside()}" if len(evaluation.errors) > 1 else ""
    return ReportContent(
        sentence=f"It gives {len(evaluation):,} unseen images back from "
        f"{evaluation.facts.latent:,} numbers each with a squared error of {mean} per value"
        f"{beside}.",
        notes=[f"between {low:.4g} and {high:.4g} with 95 % confidence, images drawn anew"],
        sections=[_section(evaluation)],
        data=Markup("<p>{}</p>").format(data.summary()),
    )


def _section(evaluation: ReconstructionEvaluation) -> Section:
    heads, rows, _ = evaluation.table()
    values: dict[str, Any] = {
        "heads": heads,
        "rows": rows,
        "total": f"{len(evaluation):,}",
        "latent": f"{evaluation.facts.latent:,}",
        "compared": PCA in evaluation.errors,
        "spaced": png_address(_sheet(evaluation.spaced)),
        "worst": png_address(_sheet(evaluation.worst)),
        "files": [{"file": each.file, "error": MSE.text(each.mse)} for each in evaluation.worst],
    }
    pictures = [("latent numbers", latent_picture(evaluation)), ("errors", _spread(evaluation))]
    return Section(
        "reconstructions",
        "Images given back",
        lambda figures: render("reconstructions.html.j2", {**values, "figures": figures}),
        {"reconstructions": pictures},
    )


def _sheet(examples: Sequence[ShownImage]) -> Image.Image:
    """Return originals in the first row, and below them what each way makes of them."""
    ways = list(examples[0].made)
    return image_grid(
        [
            [each.original for each in examples],
            *([each.made[way] for each in examples] for way in ways),
        ]
    )


def latent_picture(evaluation: ReconstructionEvaluation) -> Any:
    """Return the latent numbers along their first two principal components, by class."""
    import plotly.graph_objects as go

    step = -(-len(evaluation) // MAX_LATENT_POINTS)
    components = PrincipalComponents(evaluation.latents, 2)
    points = components.encode(evaluation.latents[::step])
    along, across = points[:, 0], points[:, -1]  # the same where there is one number
    labels, classes = evaluation.labels[::step], evaluation.facts.classes
    named = range(len(classes)) if 0 < len(classes) <= MAX_COLOURED_CLASSES else [None]
    figure = go.Figure()
    for number in named:
        own = [i for i, each in enumerate(labels) if number is None or each == number]
        marker = {"size": 5, "opacity": 0.7, **({"color": BLUE} if number is None else {})}
        figure.add_scatter(
            x=along[own].tolist(),
            y=across[own].tolist(),
            mode="markers",
            marker=marker,
            name="images" if number is None else label(classes[number]),
        )
    first, second = components.shares[0], components.shares[-1]
    words = f"first principal component of the latent numbers ({first:.0%})"
    return framed(figure, words, f"second ({second:.0%})", height=460)


def _spread(evaluation: ReconstructionEvaluation) -> Any:
    """Return how large the errors of the images are: a histogram."""
    import plotly.graph_objects as go

    errors = evaluation.errors[NETWORK].tolist()
    figure = go.Figure(go.Histogram(x=errors, nbinsx=60, marker={"color": BLUE}))
    return framed(figure, "mean squared error", "images")
