"""The report of a run: one HTML file that opens anywhere, offline."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from convatlas.atlas.claim_text import STATUS_WORDS
from convatlas.cost.report import RULE, LayerCost
from convatlas.data import ImageData, printable
from convatlas.explain.confusion import confusion_matrix
from convatlas.explain.evaluation import Evaluation
from convatlas.pipeline.config import RunConfig
from convatlas.pipeline.onnx_snippet import runtime_code
from convatlas.pipeline.outcomes import CHOSEN, QUANTITIES, by_outcome, outcome_of, settings
from convatlas.pipeline.pareto_plot import accuracy_against_cost, cost_known
from convatlas.pipeline.report import sections as parts
from convatlas.pipeline.report.curves import accuracy_curve, confusion_map, layer_costs, loss_curves
from convatlas.pipeline.snippets import commands, python_code
from convatlas.replacing import replacing
from convatlas.text import format_number


def write_report(
    path: str | Path,
    *,
    config: RunConfig,
    data: ImageData,
    log: Sequence[Mapping[str, Any]],
    evaluation: Evaluation,
    layers: Sequence[LayerCost],
    claims: Sequence[Mapping[str, Any]],
    scan: Mapping[str, Any],
    doubts: Sequence[str] = (),
) -> Path:
    """Write the report; it appears under its name only when it is whole.

    Args:
        path: the file, in the folder of the run.
        log: one row for each validation of the final training: epoch, step, seconds, train_loss,
            val_loss, val_accuracy, lr; may be empty.
        evaluation: the answers on `data.splits["test"]`, in its order.
        layers: the cost of each layer of the chosen network.
        claims: what is published of it beside our counts, as `claims --json` gives it.
        scan: what was found in the data, as `ScanReport.to_dict` gives it.
        doubts: what speaks against trusting the figures, a sentence each.

    Raises:
        WriteError: the file cannot be written.
    """
    path = Path(path)
    page = _template().render(
        config=config,
        folder=path.parent,
        headline=parts.headline(evaluation),
        doubts=doubts,
        costs=parts.costs(config),
        samples=parts.samples(data),
        tested=parts.tested(evaluation, data, config.classes),
        leaderboard=_leaderboard(config),
        claims=claims,
        layers=layers,
        scan=scan,
        sizes=parts.sizes(scan),
        checks=parts.checks(scan),
        counts=parts.counts_per_class(scan, config.classes),
        commands=commands(path.parent, config),
        python_code=python_code(path.parent),
        runtime_code=runtime_code(path.parent, config),
        figures=_embedded(_figures(config, log, evaluation, layers)),
        style=_packaged("report.css"),
        script=_packaged("report.js"),
        plotly=_plotly(),
        rule=RULE,
    )
    with replacing(path) as fresh:
        fresh.write_text(page.lstrip(), encoding="utf-8")
    return path


@lru_cache(maxsize=1)
def _template():
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "format_number": format_number,
        "printable": printable,
        "settings": settings,
        "outcome": outcome_of,
    }
    environment.filters["bare"] = parts.bare
    environment.globals |= {"STATUS_WORDS": STATUS_WORDS, "QUANTITIES": QUANTITIES}
    return environment.from_string(_packaged("report.html.j2"))


def _packaged(name: str) -> Markup:
    return Markup((resources.files("convatlas.pipeline.report") / name).read_text(encoding="utf-8"))


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _leaderboard(config: RunConfig) -> dict[str, list]:
    """The lines of the trained ones, best first, and of the others."""
    trained = [c for c in config.leaderboard if c.accuracy is not None]
    trained.sort(key=lambda c: (outcome_of(c) is not CHOSEN, -(c.accuracy or 0)))
    others = [c for c in config.leaderboard if c.accuracy is None]
    return {"trained": trained, "others": others, "outcomes": by_outcome(others, lambda c: True)}


def _figures(
    config: RunConfig,
    log: Sequence[Mapping[str, Any]],
    test: Evaluation,
    layers: Sequence[LayerCost],
) -> dict[str, Any]:
    """Every picture of the page by the name of its place; a list of several for one place."""
    shown_costs = [q for q in QUANTITIES if cost_known(config.leaderboard, q.name)]
    figures: dict[str, Any] = {
        "tradeoff": [
            (q.words, accuracy_against_cost(config.leaderboard, config.budget, q.name))
            for q in shown_costs
        ],
        "layers": [
            ("multiply-adds", layer_costs(layers, "macs")),
            ("parameters", layer_costs(layers, "params")),
            ("output bytes", layer_costs(layers, "activation_bytes")),
        ],
    }
    if log:
        figures["loss"] = [("loss", loss_curves(log))]
        figures["accuracy"] = [("accuracy", accuracy_curve(log))]
    matrix = confusion_matrix(test.labels, test.predicted, len(config.classes))
    matrix, names = parts.shown_classes(matrix, config.classes)
    figures["confusion"] = [("confusion", confusion_map(matrix, names))]
    return {place: choices for place, choices in figures.items() if choices}


def _embedded(figures: Mapping[str, Any]) -> dict[str, Markup]:
    """As JSON that cannot end the script element it stands in, whatever the names hold."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
    embedded = {}
    for place, choices in figures.items():
        plain = [{"words": w, "figure": json.loads(f.to_json())} for w, f in choices]
        text = json.dumps(plain, separators=(",", ":"))
        for character, escape in escapes.items():
            text = text.replace(character, escape)
        embedded[place] = Markup(text)
    return embedded
