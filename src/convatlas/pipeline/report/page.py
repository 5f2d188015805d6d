"""The report of a run: one HTML file that opens anywhere, offline."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from convatlas.atlas.claim_text import STATUS_WORDS
from convatlas.cost.report import RULE, LayerCost
from convatlas.data.dataset import Dataset
from convatlas.pipeline.config import FILE_NAMES, RunConfig
from convatlas.pipeline.outcomes import CHOSEN, QUANTITIES, by_outcome, outcome_of, settings
from convatlas.pipeline.pareto_plot import cost_known, metric_against_cost
from convatlas.pipeline.report import sections as parts
from convatlas.pipeline.report.curves import layer_costs, loss_curves, metric_curve
from convatlas.pipeline.snippets import commands, python_code
from convatlas.replacing import replacing
from convatlas.tasks import find_task
from convatlas.tasks.answers import Evaluation
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.page import environment, packaged

ROOM = "convatlas.pipeline.report"  # whose templates, styles and scripts these are


def write_report(
    path: str | Path,
    *,
    config: RunConfig,
    data: Dataset,
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
            val_loss, lr and the validated metric; may be empty.
        evaluation: the answers on `data.splits["test"]`, in its order.
        layers: the cost of each layer of the chosen network.
        claims: what is published of it beside our counts, as `claims --json` gives it.
        scan: what was found in the data, as `ScanReport.to_dict` gives it.
        doubts: what speaks against trusting the figures, a sentence each.

    Raises:
        WriteError: the file cannot be written.
    """
    path, task = Path(path), find_task(config.task)
    result = task.show(evaluation, data, scan)
    page = _template().render(
        config=config,
        metric=config.metric,
        value=evaluation.figures[config.metric.key],
        items=task.items,
        summary=data.summary(),
        settings_rows=task.describe_settings(config.settings, config.facts),
        result=result,
        folder=path.parent,
        doubts=doubts,
        costs=parts.costs(config),
        leaderboard=_leaderboard(config),
        claims=claims,
        layers=layers,
        scan=scan,
        sizes=parts.sizes(scan),
        checks=parts.checks(scan),
        commands=commands(path.parent, config),
        python_code=python_code(path.parent, config),
        runtime_code=task.runtime_code(path.parent / FILE_NAMES["onnx"], config),
        figures=_embedded(_figures(config, log, result, layers)),
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
    page = environment().overlay()
    page.filters = page.filters | {"settings": settings, "outcome": outcome_of, "bare": parts.bare}
    page.globals = page.globals | {"STATUS_WORDS": STATUS_WORDS, "QUANTITIES": QUANTITIES}
    return page.from_string(packaged(ROOM, "report.html.j2"))


def _packaged(name: str) -> Markup:
    return Markup(packaged(ROOM, name))


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _leaderboard(config: RunConfig) -> dict[str, list]:
    """The lines of the trained ones, best first, and of the others."""
    metric = config.metric
    trained = [c for c in config.leaderboard if c.figures]
    trained.sort(key=lambda c: (outcome_of(c) is not CHOSEN, -metric.rank(c.value(metric))))
    others = [c for c in config.leaderboard if not c.figures]
    return {"trained": trained, "others": others, "outcomes": by_outcome(others, lambda c: True)}


def _figures(
    config: RunConfig,
    log: Sequence[Mapping[str, Any]],
    result: ReportContent,
    layers: Sequence[LayerCost],
) -> dict[str, Any]:
    """Every picture of the page by the name of its place; a list of several for one place."""
    shown_costs = [q for q in QUANTITIES if cost_known(config.leaderboard, q.name)]
    figures: dict[str, Any] = {
        "tradeoff": [
            (q.words, metric_against_cost(config.leaderboard, config.metric, config.budget, q.name))
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
        figures["metric"] = [(config.metric.words, metric_curve(log, config.metric))]
    for section in result.sections:
        figures |= section.pictures
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
