import csv
import json

from convatlas.train.log import RunLog, read_log


def test_rows_reach_every_file(tmp_path):
    log = RunLog(tmp_path)
    log.write(epoch=1, step=10, val_accuracy=0.5)
    log.write(epoch=2, step=20, val_accuracy=0.75)
    log.close()
    assert read_log(tmp_path) == log.rows
    assert [json.loads(x)["step"] for x in (tmp_path / "log.jsonl").read_text().splitlines()] == [
        10,
        20,
    ]
    with (tmp_path / "log.csv").open() as file:
        assert [row["val_accuracy"] for row in csv.DictReader(file)] == ["0.5", "0.75"]


def test_tensorboard_reads_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path)
    log.write(epoch=1, step=10, val_accuracy=0.5)
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (event,) = events.Scalars("val_accuracy")
    assert (event.step, event.value) == (10, 0.5)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunLog().write(epoch=1, step=1)
    assert list(tmp_path.iterdir()) == []
    assert read_log(tmp_path) == []
