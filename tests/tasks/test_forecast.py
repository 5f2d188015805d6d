"""The task of forecasting: graphs go with weights, files and words, and what is refused."""

import csv
import datetime
import json

import numpy as np
import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.cli.main import main
from convatlas.data.graphs.open_series import open_series
from convatlas.deploy.forecaster import Forecaster
from convatlas.errors import UsageError
from convatlas.explain.forecasts.evaluation import LAST, NETWORK, ForecastEvaluation
from convatlas.explain.forecasts.horizons import ErrorSums, shown_steps, step_words
from convatlas.explain.forecasts.picture import draw_forecast
from convatlas.models.graphs.graph_matrix import FILTERS
from convatlas.models.registry import find_entry
from convatlas.tasks import graph_networks
from convatlas.tasks.graph_networks import forecast_candidates

NAMES = ("stgcn", "stgcn_first_order", "tgcn3d", "tcn")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six sensors, three of a kind, joined as a chain."""
    folder = tmp_path_factory.mktemp("sensors")
    t = np.arange(200)
    values = 50 + 9 * np.sin(2 * np.pi * t[:, None] / 24 + np.array([0, 0, 0, 3, 3, 3]))
    values = values + np.random.default_rng(0).normal(0, 0.5, values.shape)
    chain = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)
    np.savez(
        folder / "s.npz",
        speed=values.astype(np.float32),
        adjacency=chain,
        start="2024-01-01",
        step_minutes=60,
        sensor_id=list("abcdef"),
    )
    return folder / "s.npz"


def opened(data):
    return open_series(data, seed=0, options={"history": 9, "horizon": 3})


@pytest.mark.parametrize("most", [512, 2])
def test_each_network_is_built_on_its_graph_which_its_weights_hold(data, most, monkeypatch):
    monkeypatch.setattr(graph_networks, "MAX_DENSE", most)
    entries = [find_entry(name) for name in NAMES]
    series = opened(data)
    rows = forecast_candidates(entries, series, fixed_width=True)
    (x,) = (torch.randn(2, 3, 9, 6),)
    for name in NAMES:
        candidate = rows[name][0][0]
        model = candidate.build().eval()
        with torch.device("meta"):
            candidate.build()
        again = find_entry(name).build(**candidate.options).eval()
        again.load_state_dict(model.state_dict())
        assert torch.equal(again(x), model(x))
        if name != "tcn":
            graph = series.graph if name != "tgcn3d" else series.similar
            assert candidate.graph is graph
            assert ("edges" in candidate.options) == (most == 2)
            assert model.adjacency.filter in FILTERS


def test_without_a_graph_one_is_made_of_the_series(data):
    arrays = dict(np.load(data))
    del arrays["adjacency"]
    file = data.with_name("bare.npz")
    np.savez(file, **arrays)
    series = open_series(file, seed=0, options={"history": 9, "horizon": 3})
    rows = forecast_candidates([find_entry("stgcn")], series, fixed_width=True)
    assert rows["stgcn"][0][0].graph is series.similar


def test_error_sums_are_the_plain_formulas_and_leave_out_what_is_missing():
    truth = torch.tensor([[[1.0, 2.0], [float("nan"), 4.0]], [[0.0, 2.0], [3.0, 5.0]]])
    forecast = torch.tensor([[[2.0, 2.0], [9.0, 6.0]], [[1.0, 4.0], [3.0, 4.0]]])
    sums = ErrorSums(2, 2)
    sums.add(forecast[:1], truth[:1])
    sums.add(forecast[1:], truth[1:])
    first, overall = sums.at(0), sums.at()
    assert first.mae == pytest.approx((1 + 0 + 1 + 2) / 4)
    assert first.rmse == pytest.approx(((1 + 0 + 1 + 4) / 4) ** 0.5)
    assert first.mape == pytest.approx((1 + 0 + 1) / 3)  # the reading 0 has no percentage
    assert overall.count == 7
    assert overall.mae == pytest.approx((4 + 2 + 0 + 1) / 7)
    assert sums.by_sensor().tolist() == pytest.approx([2 / 3, 5 / 4])


def test_horizons_are_those_that_people_ask_for_or_the_datas_own():
    assert shown_steps(12, 5) == [2, 5, 11]
    assert shown_steps(4, 15) == [0, 1, 3]
    assert shown_steps(7, 60) == [0, 3, 6]
    assert shown_steps(3, None) == [0, 1, 2]
    assert [step_words(s, 5) for s in (2, 11, 23)] == ["15 min", "60 min", "2 h"]
    assert step_words(2, None) == "step 3"


def test_a_network_that_does_not_beat_the_last_value_is_doubted(data):
    facts = opened(data).facts_
    truth = torch.zeros(1, 3, 6)
    better, worse = ErrorSums(3, 6), ErrorSums(3, 6)
    better.add(truth + 1, truth)
    worse.add(truth + torch.tensor([0.5, 1.0, 2.0])[:, None], truth)
    judged = ForecastEvaluation(facts, {NETWORK: worse, LAST: better}, 1, {})
    (doubt,) = judged.doubts()
    assert "not forecast better than the last value at 2 h, 3 h" in doubt
    assert (
        "at 60 min" in ForecastEvaluation(facts, {NETWORK: better, LAST: worse}, 1, {}).doubts()[0]
    )


@pytest.mark.slow
def test_a_run_writes_its_forecast_as_a_table(forecast, tmp_path):
    (answer,) = forecast.run.predict(forecast.new)
    (path,) = answer.save(tmp_path)
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["time", "a", "b", "c", "d"]
    first = datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=60)
    assert rows[0][0] == str(first)
    np.testing.assert_allclose([float(x) for x in rows[0][1:]], answer.values[0], rtol=1e-5)
    assert {"mae", "rmse", "mape", "mae_last_value", "mae_historical_average"} <= set(
        forecast.run.config.figures
    )


@pytest.mark.slow
def test_recent_readings_must_be_enough_and_not_all_missing(forecast, tmp_path):
    lines = forecast.new.read_text().splitlines()
    short, empty = tmp_path / "short.csv", tmp_path / "empty.csv"
    short.write_text("\n".join(lines[:5]))
    empty.write_text("\n".join([lines[0], *(line.split(",")[0] + ",,,," for line in lines[1:])]))
    answers = forecast.run.predict([short, empty])
    assert "must have the last 9 steps or more, got 4" in answers[0].error
    assert "all of the last 9 steps are missing" in answers[1].error


class Later(torch.nn.Module):
    """Answers with the time of day of the last step, as a change from the last reading."""

    def forward(self, x):
        return x[:, -1:, -1:, :].squeeze(1).expand(-1, 3, -1)


def test_more_steps_are_made_of_its_own_forecast_at_the_time_of_day_that_follows(data):
    facts = opened(data).facts_
    predictor = Forecaster(Later(), facts, [0.0] * 6, [1.0] * 6)
    assert facts.clock
    past, clock = torch.arange(54.0).reshape(9, 6), (torch.arange(9) / 24 + 0.8) % 1
    got = predictor.forecast((past, clock), 7)
    expected, last, place = [], past[-1], 8
    for _ in range(3):  # three calls of three steps each
        change = predictor.predict([(past, (torch.arange(place - 8, place + 1) / 24 + 0.8) % 1)])
        step = change[0][0] - past[-1]
        last = last + step
        expected += [last] * 3
        place += 3
    torch.testing.assert_close(got, torch.stack(expected[:7]))


def test_the_picture_shows_gaps_and_the_forecast_behind_the_readings(tmp_path):
    past = torch.linspace(0, 1, 12)[:, None].expand(-1, 9).clone()
    past[5, 0] = float("nan")
    draw_forecast(tmp_path / "a" / "p.png", list("abcdefghi"), past, past[:3] + 1, unit="mph")
    with Image.open(tmp_path / "a" / "p.png") as image:
        assert image.size == (640, 8 * 110 + 12)
        colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(0x3A, 0x86, 0xC8), (0xD9, 0x77, 0x06)} <= colours


@pytest.mark.slow
def test_the_verb_writes_table_and_picture_of_recent_readings(forecast, tmp_path, capsys):
    def told(*more):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["forecast", str(forecast.run.path), *map(str, more)])
        return ended.value.code or 0, capsys.readouterr()

    out = ("--out", tmp_path / "out")
    code, printed = told(forecast.new, "--steps", 5, "--json", *out)
    assert code == 0
    answer = json.loads(printed.out)
    assert len(answer["steps"]) == 5
    assert list(answer["forecast"]) == list("abcd")
    with open(answer["files"]["table"], newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1][0] == answer["steps"][0]
    column = [float(row[1]) for row in rows[1:]]
    assert column == pytest.approx(answer["forecast"]["a"], rel=1e-5)
    (one,) = forecast.run.predict(forecast.new)
    assert column[0] == pytest.approx(float(one.values[0, 0]), rel=1e-5)
    assert (tmp_path / "out" / "others-forecast.png").stat().st_size > 1000
    code, printed = told(forecast.new, *out)
    assert code == 2
    assert "is there already" in printed.err
    assert told(forecast.new, *out, "--force")[0] == 0
    short = tmp_path / "short.csv"
    short.write_text("\n".join(forecast.new.read_text().splitlines()[:5]))
    code, printed = told(short, *out)
    assert code == 3
    assert "must have the last 9 steps or more, got 4" in printed.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"horizon": 0}, "horizon must be a whole number from 1"),
        ({"zeros_missing": 3}, "zeros_missing must be true or false"),
        ({"symmetrise": "both"}, "symmetrise must be one of no, max, mean"),
        ({"histroy": 9}, "no option 'histroy'"),
        ({"step_minutes": -5}, "step_minutes must be a number above 0"),
    ],
)
def test_options_are_checked_before_any_work(data, options, says):
    with pytest.raises(UsageError, match=says):
        ca.fit(data, task="forecast", **options)
