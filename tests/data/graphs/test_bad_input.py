"""Bad graphs and sensors: each gets its own words, and none of them a number."""

import numpy as np
import pytest

from convatlas.data.graphs.asked_series import asked_series, silent_words
from convatlas.data.graphs.open_series import open_series, open_series_test
from convatlas.data.graphs.read_graph import read_graph
from convatlas.data.graphs.sensor_graph import graph_of_matrix
from convatlas.errors import DataError

NAMES = ["a", "b", "c"]
NAN = float("nan")
HEAD = "from,to,distance\n"


@pytest.mark.parametrize("symmetrise", ["no", "max", "mean"])
@pytest.mark.parametrize(("value", "told"), [(-1, "-1"), (NAN, "nan"), (np.inf, "inf")])
def test_no_way_to_symmetrise_hides_a_weight_that_is_none(symmetrise, value, told):
    matrix = np.array([[0, value, 0], [3, 0, 0], [0, 0, 0]])
    with pytest.raises(DataError, match=f"g: weights must be 0 or more, got {told} .* a and b"):
        graph_of_matrix(matrix, NAMES, place="g", symmetrise=symmetrise)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,0.5\nb,c,0.25\n", "a line of names such as from,to,weight"),
        ("a,b\nb,c\n", "first line must name the columns, .* got an edge from a to b"),
        ("from,to,nearness\na,b,500\n", "third column must be called weight or distance, got near"),
        (HEAD + "a,b,nan\nb,c,1\n", "distances must be 0 or more, got nan"),
        (HEAD + "a,b,inf\nb,c,1\n", "distances must be 0 or more, got inf"),
        (HEAD, "holds no edges"),
        ("0,1,0\n1,0,0\n0,0\n", "must be a matrix of 3 x 3 numbers"),
    ],
)
def test_lists_of_edges_that_are_none_are_named(tmp_path, text, says):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=rf"g\.csv: .*{says}"):
        read_graph(tmp_path / "g.csv", NAMES)


def opened(folder, values, **arrays):
    np.savez(folder / "s.npz", speed=values, sensor_id=NAMES, **arrays)
    return open_series(folder / "s.npz", seed=0, options={"history": 4, "horizon": 2})


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(50, 9, (120, 3)).astype(np.float32)


@pytest.mark.parametrize("matrix", [np.full((3, 3), "near"), np.ones((3, 3)) * 1j])
def test_an_adjacency_of_no_numbers_is_refused(tmp_path, values, matrix):
    with pytest.raises(DataError, match=r"s\.npz: the adjacency must be numbers"):
        opened(tmp_path, values, adjacency=matrix)


def test_sensors_that_fall_silent_are_named_where_no_figure_knows_of_them(tmp_path, values):
    values[84:96, 1] = NAN
    values[96:, 2] = NAN
    data = opened(tmp_path, values)
    said = " / ".join(data.scan.warnings())
    assert "without any reading in the validation part, which its figures leave out: b /" in said
    assert "without any reading in the test part, which its figures leave out: c" in said
    values[:, 0] = NAN
    np.savez(tmp_path / "t.npz", speed=values, sensor_id=NAMES)
    (told,) = open_series_test(tmp_path / "t.npz", data.facts_).scan.warnings()
    assert told.endswith("in the test part, which its figures leave out: a")


def test_sensors_without_a_last_reading_are_named_beside_the_forecast(tmp_path, values):
    facts = opened(tmp_path, values).facts_
    values[-4:, 1] = NAN
    whole, part = asked_series([values[:-4], values], facts)
    assert silent_words(whole) == ""
    assert silent_words(part) == (
        "readings 2: no reading in the last steps of b; their forecasts begin at the mean of the "
        "training part"
    )
