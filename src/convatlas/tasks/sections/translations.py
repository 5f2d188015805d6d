"""What the report shows of translations: scores by length, sentences beside references."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from convatlas.data.text.pair_data import PairData
from convatlas.explain.translations.evaluation import (
    COPIED,
    FREQUENT,
    NETWORK,
    TranslationEvaluation,
)
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import BLUE, framed
from convatlas.tasks.sections.page import render
from convatlas.text import printable
from convatlas.train.translation_figures import BLEU, CHRF

MAX_SENTENCES = 60  # that are shown, evenly spaced from short to long ones


def show_translations(evaluation: TranslationEvaluation, data: PairData) -> ReportContent:
    """Return the parts of the report: headline, scores, sentences, what the data hold."""

    facts, scores = evaluation.facts, evaluation.scores
    own, copied, frequent = (scores[name] for name in (NETWORK, COPIED, FREQUENT))
    metric, (low, high) = evaluation.metric, evaluation.interval
    return ReportContent(
        sentence=f"It translates from {printable(facts.source_name)} to "
        f"{printable(facts.target_name)} with a chrF of {CHRF.text(own[CHRF.key])} and a BLEU of "
        f"{BLEU.text(own[BLEU.key])}; copying the source has a chrF of "
        f"{CHRF.text(copied[CHRF.key])}, writing the most frequent sentence one of "
        f"{CHRF.text(frequent[CHRF.key])}.",
        notes=[
            f"over {len(evaluation):,} test sentences, {evaluation.equal:,} of which are the "
            f"reference itself; scores go from 0 to 100, 95 % interval of the {metric.words} "
            f"{metric.text(low)} to {metric.text(high)}"
        ],
        sections=[_section(evaluation)],
        data=Markup("<p>{}</p>").format(data.summary()),
    )


def _section(evaluation: TranslationEvaluation) -> Section:
    heads, rows, _ = evaluation.table()
    sources = evaluation.split.sources
    order = sorted(range(len(evaluation)), key=lambda place: len(sources[place]))
    shown = order[:: -(-len(order) // MAX_SENTENCES)]
    references = evaluation.split.references
    values: Mapping[str, Any] = {
        "heads": heads,
        "rows": rows,
        "sentences": [
            tuple(
                map(printable, (sources[place], references[place], evaluation.translations[place]))
            )
            for place in shown
        ],
        "total": len(evaluation),
    }
    return Section(
        "translations",
        "Translations",
        lambda pictures: render("translations.html.j2", {**values, "figures": pictures}),
        {"translations": [("chrF by length", _by_length(evaluation))]},
    )


def _by_length(evaluation: TranslationEvaluation) -> Any:
    import plotly.graph_objects as go

    rows = evaluation.lengths()
    names = ["{} to {}".format(*row["characters"]) for row in rows]
    figure = go.Figure(go.Bar(x=names, y=[row[CHRF.key] for row in rows], marker_color=BLUE))
    return framed(figure, "characters of the source", CHRF.words)
