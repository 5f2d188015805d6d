import math
import re
from xml.etree import ElementTree

import pytest

from convatlas.metric import ACCURACY
from convatlas.pipeline.config import Trial
from convatlas.pipeline.front import front_of
from convatlas.pipeline.outcomes import OUTCOMES, outcome_of, settings
from convatlas.pipeline.pareto_plot import (
    cost_known,
    metric_against_cost,
    metric_against_cost_svg,
)
from convatlas.search.budget import Budget

OPEN = Budget()


def points(figure):
    """(x, y) of every trained candidate."""
    traces = [t for t in figure.to_dict()["data"] if t.get("yaxis") == "y"]
    return sorted(p for t in traces for p in zip(t["x"], t["y"], strict=True))


def test_every_trained_candidate_is_a_point(leaderboard):
    figure = metric_against_cost(leaderboard, ACCURACY, OPEN, "params")
    assert points(figure) == [(61_000, 0.97), (75_000, 0.965), (80_000, 0.91)]
    assert points(metric_against_cost(leaderboard, ACCURACY, OPEN, "macs"))[0] == (300_000, 0.965)


def test_steps_lead_along_the_networks_that_no_other_beats_at_that_cost(leaderboard):
    lines = [
        t
        for t in metric_against_cost(leaderboard, ACCURACY, OPEN, "macs").to_dict()["data"]
        if t["mode"] == "lines"
    ]
    assert [list(zip(t["x"], t["y"], strict=True)) for t in lines] == [
        [(c.macs, c.figures["accuracy"]) for c in front_of(leaderboard, ACCURACY, ("macs",))]
    ]


def test_the_others_stand_on_the_strip_where_their_cost_is_known(leaderboard):
    data = metric_against_cost(leaderboard, ACCURACY, OPEN, "params").to_dict()["data"]
    strip = [t for t in data if t.get("yaxis") == "y2"]
    assert sorted(x for t in strip for x in t["x"]) == [70_000, 90_000, 250_000]


def test_outcomes_differ_by_shape_as_well_as_by_colour(leaderboard):
    assert len({outcome.symbol for outcome in OUTCOMES}) == len(OUTCOMES)
    assert len({outcome.marker for outcome in OUTCOMES}) == len(OUTCOMES)
    assert len({outcome.colour for outcome in OUTCOMES}) == len(OUTCOMES)
    words = [outcome_of(c).words for c in leaderboard]
    assert words == [
        "chosen",
        "trained to the last rounds",
        "dropped early",
        "over budget",
        "not trained",
        "over budget",
        "not trained",
    ]


def test_the_budget_is_drawn_where_it_is(leaderboard):
    layout = metric_against_cost(leaderboard, ACCURACY, Budget(params=100_000), "params").to_dict()[
        "layout"
    ]
    area, line = layout["shapes"]
    assert (line["x0"], line["x1"], area["x0"]) == (100_000, 100_000, 100_000)
    left, right = layout["xaxis"]["range"]
    assert left < math.log10(61_000) < math.log10(250_000) < right
    assert math.log10(area["x1"]) == pytest.approx(right)
    assert layout["annotations"][0]["text"] == "budget 100 k"


def test_a_limit_far_beyond_all_candidates_is_still_seen(leaderboard):
    layout = metric_against_cost(leaderboard, ACCURACY, Budget(params=1e9), "params").to_dict()[
        "layout"
    ]
    assert layout["xaxis"]["range"][1] > 9


def test_another_limit_is_not_drawn(leaderboard):
    layout = metric_against_cost(leaderboard, ACCURACY, Budget(params=100_000), "macs").to_dict()[
        "layout"
    ]
    assert "shapes" not in layout


def test_hovering_tells_the_candidate_and_no_markup_of_others(leaderboard):
    data = metric_against_cost(leaderboard, ACCURACY, OPEN).to_dict()["data"]
    texts = "\n".join(text for trace in data for text in trace.get("hovertext", ()))
    assert "<b>small_net</b><br>28 px, width 0.5<br>61.0 k params, 417 k macs" in texts
    assert "91.00% on validation after 3.2 epochs<br>dropped after round 1" in texts
    assert "others &lt;looked&gt; better" in texts


def test_a_head_that_is_solved_for_has_no_epochs(leaderboard):
    heads = [trial.model_copy(update={"epochs": 0.0}) for trial in leaderboard]
    data = metric_against_cost(heads, ACCURACY, OPEN).to_dict()["data"]
    texts = "\n".join(text for trace in data for text in trace.get("hovertext", ()))
    assert "91.00% on validation with a linear head<br>" in texts
    assert "0.0 epochs" not in texts


def test_unknown_costs_are_told(leaderboard):
    assert cost_known(leaderboard, "macs")
    assert not cost_known(leaderboard, "latency_s")
    assert not cost_known([], "macs")


def test_the_input_size_is_not_said_twice():
    assert (
        settings(Trial(model="m", options={"size": 32}, example={"size": 32}, input="32 px"))
        == "32 px"
    )
    assert (
        settings(Trial(model="m", options={"stem_stride": 1}, example={"size": 9}, input="9 px"))
        == "9 px, stem stride 1"
    )


@pytest.mark.parametrize("budget", [OPEN, Budget(macs=1e6)])
def test_the_picture_for_documents_is_svg_and_always_the_same(leaderboard, budget):
    first = metric_against_cost_svg(leaderboard, ACCURACY, budget)
    assert first == metric_against_cost_svg(leaderboard, ACCURACY, budget)
    words = " ".join(ElementTree.fromstring(first).itertext())
    assert "small_net" in words
    assert "multiply-adds" in words
    assert "large_net" not in words  # it was not trained
    assert ("budget 1.00 M" in words) == (budget is not OPEN)
    assert not re.findall(r'(?:src|href)="http', first)


def test_a_document_without_candidates_still_gets_its_axes():
    assert "validation accuracy" in metric_against_cost_svg([], ACCURACY, Budget(macs=1e6))
    assert metric_against_cost([], ACCURACY, OPEN).to_dict()["layout"]["xaxis"]["type"] == "log"
