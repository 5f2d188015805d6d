import math

import pytest
import torch

from convatlas.metric import ACCURACY, Metric
from convatlas.pipeline.report.curves import (
    layer_costs,
    loss_curves,
    metric_axis,
    metric_curve,
    share_range,
)
from convatlas.tasks.sections.confusion import confusion_map
from convatlas.tasks.sections.drawing import label


def test_curves_hold_the_log(log):
    figure = loss_curves(log).to_dict()
    training, validation = figure["data"]
    assert (training["name"], validation["name"]) == ("training", "validation")
    assert list(training["x"]) == [1, 2, 2.5]
    assert list(training["y"]) == [2.0, 1.5, 0.75]
    assert list(validation["y"]) == [1.0, 0.75, 0.375]
    (accuracy,) = metric_curve(log, ACCURACY).to_dict()["data"]
    assert list(accuracy["y"]) == [row["val_accuracy"] for row in log]
    assert "learning rate 0.1" in accuracy["hovertext"][0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_loss_that_is_no_number_is_a_gap(log, bad):
    log[1]["train_loss"] = bad
    assert list(loss_curves(log).to_dict()["data"][0]["y"]) == [2.0, None, 0.75]


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [0.3, 0.3], [0.0, 1.0], [0.981, 0.989]])
def test_an_axis_of_shares_holds_all_values_and_hardly_more(values):
    low, high = share_range(values)
    assert -0.03 < low < min(values, default=1)
    assert max(values, default=0) < high < 1.03
    assert high - low < 1.2 * (max(values, default=1) - min(values, default=0)) + 0.05


def test_confusion_shows_every_count_once():
    matrix = torch.tensor([[8, 2, 0], [1, 0, 3], [0, 0, 0]])
    right, wrong = confusion_map(matrix, ["a", "b", "c"]).to_dict()["data"]
    assert [list(row) for row in wrong["z"]] == [[None, 2, None], [1, None, 3], [None, None, None]]
    assert [row[i] for i, row in enumerate(right["z"])] == [0.8, 0.0, 0.0]
    assert [row[i] for i, row in enumerate(right["text"])] == ["8", "0", "0"]
    assert wrong["zmax"] == 3
    assert wrong["hovertext"][0][1] == "2 of 10 a predicted as b (20.0%)"


def test_names_are_shown_as_they_are_and_on_one_line():
    assert label("<b>&\n") == "&lt;b&gt;&amp;\\n"
    assert label("") == "(no name)"
    assert label("x" * 99) == "x" * 23 + "…"
    assert label("&" * 99) == "&amp;" * 23 + "…"  # cut before it is escaped


def test_equal_short_forms_of_long_names_stay_apart():
    names = ["a long name of a class, first", "a long name of a class, second"]
    figure = confusion_map(torch.eye(2, dtype=torch.int64), names).to_dict()
    assert list(figure["data"][0]["x"]) == [0, 1]
    assert len(figure["layout"]["xaxis"]["ticktext"]) == 2


@pytest.mark.parametrize("quantity", ["macs", "params", "activation_bytes"])
def test_bars_are_the_layers_that_cost_something(layers, quantity):
    (bar,) = layer_costs(layers, quantity).to_dict()["data"]
    assert list(bar["x"]) == [v for layer in layers if (v := getattr(layer, quantity))]
    assert "<b>features.0</b><br>Conv2d<br>output 8 x 28 x 28" in bar["hovertext"][0]


def test_deep_networks_get_upright_bars(layers):
    (bar,) = layer_costs(layers * 20, "params").to_dict()["data"]
    assert bar["orientation"] == "v"
    assert list(bar["y"]) == [224, 16, 27] * 20


def test_an_axis_is_in_percent_only_where_the_metric_is_a_fraction():
    assert metric_axis(ACCURACY, [0.5, 0.6])["tickformat"] == "~%"
    assert metric_axis(Metric("mae", "mean error", "km/h", higher_is_better=False), [3.0]) == {}
