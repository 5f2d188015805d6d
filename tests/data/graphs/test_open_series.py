"""Readings over time: formats, gaps, splits in the order of time, and what is refused."""

import datetime

import numpy as np
import pytest
import torch

from convatlas.data.graphs.open_series import holds_series, open_series, open_series_test
from convatlas.data.graphs.window_form import WindowForm
from convatlas.errors import DataError

STEPS, SENSORS = 120, 3
START = datetime.datetime(2024, 1, 1)


def readings(seed=0):
    return np.random.default_rng(seed).normal(50, 9, (STEPS, SENSORS)).astype(np.float32)


def hours(count=STEPS):
    return [START + datetime.timedelta(hours=n) for n in range(count)]


def write_csv(path, values, times=None, names="abc"):
    head = ["time"] * (times is not None) + list(names)
    lines = [",".join(head)]
    for number, row in enumerate(values):
        cells = ["" if np.isnan(x) else repr(float(x)) for x in row]
        lines.append(",".join(cells if times is None else [str(times[number]), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def opened(path, **options):
    return open_series(path, seed=0, options={"history": 4, "horizon": 2} | options)


def test_formats_hold_the_same_readings(tmp_path):
    values, times = readings(), hours()
    files = [write_csv(tmp_path / "a.csv", values, times)]
    stamps = np.array(times, dtype="datetime64[s]")
    np.savez(tmp_path / "b.npz", speed=values, time=stamps, sensor_id=list("abc"))
    np.savez(
        tmp_path / "c.npz", values=values, start=str(START), step_minutes=60, names=list("abc")
    )
    files += [tmp_path / "b.npz", tmp_path / "c.npz"]
    for file in files:
        data = opened(file)
        assert holds_series(file)
        assert data.facts_.sensors == ["a", "b", "c"]
        assert data.facts_.step_minutes == 60
        assert data.facts_.clock
        np.testing.assert_array_equal(data.splits["test"].readings, values)


def test_a_file_without_a_known_suffix_is_read_by_its_content(tmp_path):
    table = write_csv(tmp_path / "table", readings())
    np.savez(tmp_path / "b.npz", speed=readings())
    (tmp_path / "b.npz").rename(tmp_path / "arrays")
    for file in (table, tmp_path / "arrays"):
        np.testing.assert_array_equal(opened(file).splits["test"].readings, readings())


def test_parquet_is_read_or_its_package_is_named(tmp_path, monkeypatch):
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(
        DataError,
        match=r"parquet files need pyarrow, which is not installed.*convatlas\[parquet\]",
    ):
        opened(file)


def test_parquet_holds_the_same_readings(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    values = readings()
    table = {"time": hours()} | {name: values[:, n] for n, name in enumerate("abc")}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    data = opened(tmp_path / "a.parquet")
    np.testing.assert_array_equal(data.splits["test"].readings, values)
    assert data.facts_.step_minutes == 60


def test_a_folder_holds_readings_and_a_graph(tmp_path):
    write_csv(tmp_path / "series.csv", readings())
    (tmp_path / "graph.csv").write_text("from,to\na,b\n")
    data = opened(tmp_path)
    assert holds_series(tmp_path)
    assert data.graph is not None
    assert len(data.graph) == 2
    assert any("unconnected parts" in line and "c" in line for line in data.scan.warnings())


def test_tables_of_files_are_no_readings(tmp_path):
    (tmp_path / "a.csv").write_text("file,label\nx.png,cat\ny.png,dog\n")
    np.savez(tmp_path / "b.npz", image=np.zeros((2, 3, 4)), mask=np.zeros((2, 3, 4)))
    assert not holds_series(tmp_path / "a.csv")
    assert not holds_series(tmp_path / "b.npz")
    assert not holds_series(tmp_path)


def test_the_split_is_in_the_order_of_time_and_no_step_is_forecast_in_two_parts(tmp_path):
    data = opened(write_csv(tmp_path / "a.csv", readings()))
    forecast = {
        name: {row for s in split.starts for row in range(s + 4, s + 6)}
        for name, split in data.splits.items()
    }
    assert data.bounds == (84, 96)
    assert forecast["train"] == set(range(4, 84))
    assert forecast["val"] == set(range(84, 96))
    assert forecast["test"] == set(range(96, 120))


def test_scales_and_averages_are_those_of_the_training_part_alone(tmp_path):
    values = readings()
    before = opened(write_csv(tmp_path / "a.csv", values, hours())).splits["test"].average
    values[84:] += 1000
    after = opened(write_csv(tmp_path / "b.csv", values, hours())).splits["test"].average
    np.testing.assert_array_equal(before, after)
    by_hour = np.stack([values[h:84:24].mean(0) for h in range(24)])
    np.testing.assert_allclose(after, by_hour, rtol=1e-5)


def test_missing_rows_and_zeros_become_missing_readings(tmp_path):
    values, times = readings(), hours()
    values[7, 1] = 0
    kept = [n for n in range(STEPS) if n not in (10, 11)]
    file = write_csv(tmp_path / "a.csv", values[kept], [times[n] for n in kept])
    data = opened(file, zeros_missing=True)
    table = data.splits["train"].readings
    assert len(table) == STEPS
    assert np.isnan(table[[10, 11]]).all()
    assert np.isnan(table[7, 1])
    assert np.isnan(table).sum() == 7
    assert data.facts_.gaps
    assert any("2 steps have no row" in line for line in data.scan.warnings())


def swapped(values, times):
    times[5], times[6] = times[6], times[5]


def twice(values, times):
    times[5] = times[4]


def uneven(values, times):
    times[5] += datetime.timedelta(minutes=7)


def empty_sensor(values, times):
    values[:84, 1] = np.nan


def infinite(values, times):
    values[3, 2] = np.inf


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (swapped, r"times must go up .* \(row 7\) comes after .*; sort the rows"),
        (twice, r"\(row 6\) stands twice"),
        (uneven, "must lie 60 minutes apart, but between"),
        (empty_sensor, r"sensors without any reading in the training part .*: b; leave"),
        (infinite, "sensor c has an infinite reading"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, edit, says):
    values, times = readings(), hours()
    edit(values, times)
    with pytest.raises(DataError, match=says) as raised:
        opened(write_csv(tmp_path / "a.csv", values, times))
    assert "a.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n3\n", "line 3 must have 2 cells, got 1"),
        ("a,b\n1,2\n3,x\n", "line 3, b: must be a number or empty, got x"),
        ("a,a\n1,2\n3,4\n", "different names, got a twice"),
        ("time,a\nnoon,2\n", "the time of row 1 must be as"),
        ("time\n2024-01-01\n", "a column for each sensor, got none"),
        ("a,b\n", "a line of names and lines of readings"),
        ("a,b\n1,2\n3,4\n", "2 steps are too few for windows of 4 and 2"),
    ],
)
def test_tables_that_are_none_are_named(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        opened(tmp_path / "a.csv")


def test_an_adjacency_of_other_sensors_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", speed=readings(), adjacency=np.ones((4, 4)))
    with pytest.raises(DataError, match="must be 3 x 3"):
        opened(tmp_path / "a.npz")


def test_other_data_must_have_the_sensors_and_steps_of_the_run(tmp_path):
    facts = opened(write_csv(tmp_path / "a.csv", readings(), hours())).facts_
    other = write_csv(tmp_path / "b.csv", readings(1)[:, [2, 0, 1]], hours(), names="cab")
    np.testing.assert_array_equal(
        open_series_test(other, facts).splits["test"].readings, readings(1)
    )
    with pytest.raises(DataError, match="lacks b"):
        open_series_test(write_csv(tmp_path / "c.csv", readings(), hours(), names="axc"), facts)
    half = [START + datetime.timedelta(minutes=30 * n) for n in range(STEPS)]
    with pytest.raises(DataError, match="steps must be 60 minutes as in the run, got 30"):
        open_series_test(write_csv(tmp_path / "d.csv", readings(), half), facts)
    with pytest.raises(DataError, match="must have times"):
        open_series_test(write_csv(tmp_path / "e.csv", readings()), facts)


def test_gaps_hold_the_last_reading_and_zero_repeats_it():
    form = WindowForm([10.0, 20.0], [2.0, 4.0], gaps=True, clock=True)
    nan = float("nan")
    past = torch.tensor([[[nan, 24.0], [12.0, nan], [nan, nan]]])
    x, last = form.prepare(past, torch.tensor([[0.0, 0.25, 0.5]]))
    assert torch.equal(x[0, 0], torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))
    assert torch.equal(x[0, 1], torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(x[0, 2, :, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    assert last.tolist() == [[12.0, 24.0]]
    answer = form.readings(torch.zeros(1, 2, 2), last)
    assert answer.tolist() == [[[12.0, 24.0], [12.0, 24.0]]]
