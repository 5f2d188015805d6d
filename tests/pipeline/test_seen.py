"""Images that a run was trained on tell nothing of new ones."""

import json
import shutil

import pytest

from convatlas.data import load_split
from convatlas.errors import DataError
from convatlas.pipeline.run import open_run

pytestmark = pytest.mark.slow


@pytest.fixture
def mixed(run, tmp_path):
    """Copies under other names: four training images and two test images of each class."""
    stored = load_split(run.path / "split.json")
    for split, count in (("train", 4), ("test", 2)):
        part = stored.splits[split]
        for label, name in enumerate(stored.classes):
            files = [f for f, given in zip(part.files, part.labels, strict=True) if given == label]
            for number, file in enumerate(files[:count]):
                target = tmp_path / "mixed" / name / f"{split}{number}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(f"{run.config.source}/{file}", target)
    return tmp_path / "mixed", len(stored.classes)


def test_training_images_are_told_by_their_pixels_and_left_out(run, mixed):
    folder, classes = mixed
    evaluation = run.evaluate(folder)
    assert (evaluation.seen, len(evaluation)) == (4 * classes, 2 * classes)
    assert all("test" in file for file in evaluation.files)
    left_out = f"left out {4 * classes} of {6 * classes} images, which were used to train this run"
    assert any(left_out in line for line in evaluation.warnings)


def test_on_request_they_are_counted(run, mixed):
    folder, classes = mixed
    evaluation = run.evaluate(folder, with_seen=True)
    assert (evaluation.seen, len(evaluation)) == (4 * classes, 6 * classes)
    assert any("were used to train this run" in line for line in evaluation.warnings)


def test_nothing_but_training_images_is_refused(run, mixed):
    folder, _ = mixed
    for file in folder.rglob("test*.png"):
        file.unlink()
    with pytest.raises(DataError, match="were used to train this run"):
        run.evaluate(folder)


def test_a_run_of_before_digests_says_that_it_does_not_know(run, mixed, tmp_path):
    copied = open_run(shutil.copytree(run.path, tmp_path / "run"))
    path = copied.path / "split.json"
    stored = json.loads(path.read_text())
    for part in stored["splits"].values():
        del part["digests"]
    path.write_text(json.dumps(stored))
    evaluation = open_run(copied.path).evaluate(mixed[0])
    assert evaluation.seen == 0
    assert any("which images it was trained on" in line for line in evaluation.warnings)


def test_some_of_the_classes_are_enough_and_others_are_refused(run, mixed):
    folder, classes = mixed
    first, *rest = sorted(folder.iterdir())
    shutil.rmtree(first)
    evaluation = run.evaluate(folder)
    assert len(evaluation) == 2 * (classes - 1)
    assert any(line == f"no images of {first.name}" for line in evaluation.warnings)
    rest[0].rename(folder / "zebra")
    with pytest.raises(DataError, match="extra zebra"):
        run.evaluate(folder)


def test_a_finished_run_knows_its_score(run):
    score = run.config.test
    assert score is not None
    assert score.accuracy == run.config.value
    assert run.summary()["interval"] == list(score.interval)
