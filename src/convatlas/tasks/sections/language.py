"""What the report shows of foretold texts: bits beside counts, dear texts, texts that go on."""

from typing import Any

from markupsafe import Markup

from convatlas.data.text.line_data import LineData
from convatlas.explain.language.evaluation import NETWORK, LanguageEvaluation
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import BLUE, framed
from convatlas.tasks.sections.page import render
from convatlas.text import printable
from convatlas.train.tasks.language import BITS_PER_CHAR

MAX_EXTREMES = 8  # texts that cost most, and as many that cost least


def show_language(evaluation: LanguageEvaluation, data: LineData) -> ReportContent:
    """Return the parts of the report: headline, bits by code, texts, what the data hold."""
    low, high = evaluation.interval
    others = " and ".join(
        f"{name} need {BITS_PER_CHAR.text(evaluation.mean(name))}"
        for name in evaluation.bits
        if name != NETWORK
    )
    return ReportContent(
        sentence=f"It foretells {len(evaluation):,} unseen texts with "
        f"{BITS_PER_CHAR.text(evaluation.mean(NETWORK))} per character"
        + (f"; {others}." if others else "."),
        notes=[
            f"between {low:.4g} and {high:.4g} with 95 % confidence, texts drawn anew; the end of "
            "a text counts as a character"
        ],
        sections=[_section(evaluation)],
        data=Markup("<p>{}</p>").format(data.summary()),
    )


def _section(evaluation: LanguageEvaluation) -> Section:
    heads, rows, _ = evaluation.table()
    values: dict[str, Any] = {
        "heads": heads,
        "rows": rows,
        "total": f"{len(evaluation):,}",
        "continued": [tuple(map(printable, each)) for each in evaluation.continued],
        "extremes": _extremes(evaluation),
    }
    return Section(
        "language",
        "Bits per character, and texts that go on",
        lambda pictures: render("language.html.j2", {**values, "figures": pictures}),
        {"language": [("bits per character", _spread(evaluation))]},
    )


def _extremes(evaluation: LanguageEvaluation) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return place, bits and text of those that cost least and most."""
    bits, texts, places = (
        evaluation.by_text(NETWORK),
        evaluation.split.texts,
        evaluation.split.files,
    )
    order = bits.argsort().tolist()
    half = min(MAX_EXTREMES, len(order) // 2)
    parts = [("least", order[:half]), ("most", order[::-1][:half])]
    return [
        (name, [(printable(places[n]), f"{float(bits[n]):.2f}", printable(texts[n])) for n in some])
        for name, some in parts
    ]


def _spread(evaluation: LanguageEvaluation) -> Any:
    """Return how many bits the texts need: a histogram."""
    import plotly.graph_objects as go

    bits = evaluation.by_text(NETWORK).tolist()
    figure = go.Figure(go.Histogram(x=bits, nbinsx=60, marker={"color": BLUE}))
    return framed(figure, "bits per character", "texts")
