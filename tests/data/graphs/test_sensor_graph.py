"""Graphs of sensors: read, checked, made of distances and of the series themselves."""

import numpy as np
import pytest

from convatlas.data.graphs.read_graph import read_graph
from convatlas.data.graphs.sensor_graph import (
    disconnected_words,
    from_pairs,
    gaussian_kernel,
    graph_of_matrix,
)
from convatlas.data.graphs.similar_series import similar_series_graph
from convatlas.errors import DataError

NAMES = ["a", "b", "c"]


def dense(graph):
    matrix = np.zeros((graph.sensors, graph.sensors), np.float32)
    matrix[graph.rows, graph.columns] = graph.weights
    return matrix


def test_a_matrix_is_read_without_its_diagonal(tmp_path):
    matrix = np.array([[1, 0.5, 0], [0.5, 1, 0.25], [0, 0.25, 1]])
    np.savez(tmp_path / "g.npz", adjacency=matrix)
    np.savetxt(tmp_path / "g.csv", matrix, delimiter=",")
    for file in ("g.npz", "g.csv"):
        np.testing.assert_allclose(dense(read_graph(tmp_path / file, NAMES)), matrix - np.eye(3))


def test_edges_named_once_count_in_both_directions(tmp_path):
    (tmp_path / "g.csv").write_text("from,to,weight\na,b,0.5\nc,b,0.25\n")
    graph = dense(read_graph(tmp_path / "g.csv", NAMES))
    np.testing.assert_allclose(graph, [[0, 0.5, 0], [0.5, 0, 0.25], [0, 0.25, 0]])


def test_distances_go_through_the_gaussian_kernel(tmp_path):
    (tmp_path / "g.csv").write_text("from,to,cost\na,b,1\nb,c,2\na,c,6\n")
    graph = dense(read_graph(tmp_path / "g.csv", NAMES))
    sigma = np.std([1, 2, 6])
    np.testing.assert_allclose(graph[0, 1], np.exp(-((1 / sigma) ** 2)), rtol=1e-6)
    assert graph[0, 2] == 0  # below 0.1
    np.testing.assert_allclose(gaussian_kernel(np.array([2.0]), sigma=4), np.exp(-0.25))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from,to,weight\na,b,-1\n", "0 or more, got -1 between sensors a and b"),
        ("from,to,weight\na,b,1\nb,a,2\n", "have two weights, a and b 1 and 2; --set symmetrise"),
        ("from,to,weight\na,x,1\n", "line 2: there are no readings of sensor x"),
        ("from,to,distance\na,b,-3\n", "distances must be 0 or more, got -3"),
        ("from,to,weight\na,b,near\n", "must hold numbers, got near"),
        ("1,2\n3,4\n", "there are no readings of sensor 3"),
        ("0,1,0\n2,0,0\n0,0,0\n", "must be symmetric, got 1 from a to b and 2 back"),
        ("0,-1,0\n-1,0,0\n0,0,0\n", "0 or more, got -1"),
        ("1,2,3,4\n1,2,3,4\n", "must be a matrix of 3 x 3"),
        ("", "is empty"),
    ],
)
def test_what_is_no_graph_is_named(tmp_path, text, says):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=says) as raised:
        read_graph(tmp_path / "g.csv", NAMES)
    assert "g.csv" in str(raised.value)


def test_a_matrix_of_another_size_is_refused_and_an_uneven_one_taken_when_asked():
    with pytest.raises(DataError, match="must be 3 x 3 for as many sensors, got 2 x 2"):
        graph_of_matrix(np.eye(2), NAMES, place="g.npz")
    uneven = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0.0]])
    for way, value in (("max", 2), ("mean", 1.5)):
        graph = dense(graph_of_matrix(uneven, NAMES, place="g", symmetrise=way))
        assert graph[0, 1] == graph[1, 0] == value


def test_parts_without_a_way_between_them_are_named():
    graph = from_pairs(np.array([0, 3]), np.array([2, 4]), np.ones(2), 6)
    assert graph.parts().tolist() == [0, 1, 0, 3, 3, 5]
    words = disconnected_words(graph, list("abcdef"))
    assert words is not None
    assert "6 sensors falls into 4 unconnected parts, 2 of them one sensor" in words
    assert words.endswith("b, f")
    assert disconnected_words(from_pairs(np.array([0]), np.array([1]), np.ones(1), 2), "ab") is None


def test_sensors_of_one_kind_of_day_are_joined_also_when_shifted():
    t = np.arange(96)
    random = np.random.default_rng(0)
    morning = [np.exp(-(((t - 30 - shift) / 6) ** 2)) for shift in (0, 2, 3)]
    evening = [np.exp(-(((t - 70 - shift) / 6) ** 2)) for shift in (0, 2, 3)]
    profiles = np.stack([*morning, *evening]) * 9 + 50 + random.normal(0, 0.05, (6, 96))
    graph = similar_series_graph(profiles, neighbours=2)
    joined = dense(graph) > 0
    assert joined[:3, :3].sum() == joined[3:, 3:].sum() == 6
    assert not joined[:3, 3:].any()
    np.testing.assert_array_equal(dense(graph), dense(graph).T)


def test_of_many_sensors_only_near_ones_are_compared(monkeypatch):
    monkeypatch.setattr("convatlas.data.graphs.similar_series.ALL_PAIRS", 10)
    profiles = np.random.default_rng(0).normal(size=(60, 12))
    graph = similar_series_graph(profiles, neighbours=3)
    assert len(graph) // 2 <= 60 * 3
    assert (np.bincount(graph.rows.numpy(), minlength=60) >= 3).all()
