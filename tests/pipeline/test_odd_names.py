"""The whole road with names that are not UTF-8 and steer a terminal: data, classes, run folder."""

import json
import os
import sys
from pathlib import Path

import pytest

from convatlas.cli.main import main
from convatlas.data import make_images
from convatlas.pipeline.run import open_run

pytestmark = pytest.mark.slow

CLASS = "circle \\xe9\x1b[31m"  # as it is stored


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with photographs under odd names."""
    place = tmp_path_factory.mktemp("odd")
    photos = os.fsencode(make_images(place / "photos", classes=3, per_class=20, size=16))
    try:
        os.rename(photos, photos + b" \xff")
        photos += b" \xff"
        os.rename(photos + b"/circle", photos + b"/circle \xe9\x1b[31m")
        os.rename(photos + b"/square/0000.png", photos + b"/square/\xfc.png")
        (Path(os.fsdecode(photos)) / "square" / "\udcfe.txt").touch()
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    return place


@pytest.fixture(scope="module")
def fitted(place):
    """What `fit` left in a folder of such a name."""
    out = place / "run \udcfb"
    told = ["--model", "linear_classifier", "--time-limit", "2s", "--out", str(out)]
    with pytest.raises(SystemExit) as done:
        main(["fit", str(place / "photos \udcff"), *told])
    assert done.value.code == 0
    return out


def answer(capsys, *args: str) -> dict:
    with pytest.raises(SystemExit) as done:
        main([*args, "--json"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert out.isascii()
    return json.loads(out)


def test_every_file_of_the_run_is_utf_8(fitted):
    written = {path.name: path.read_text(encoding="utf-8") for path in fitted.glob("*.[jch]*")}
    assert {"run.json", "split.json", "scan.json", "log.csv", "report.html"} <= written.keys()
    assert json.loads(written["run.json"])["facts"]["classes"][0] == CLASS
    assert json.loads(written["scan.json"])["ignored"] == [
        [r"square/\xfe.txt", "not named as an image"]
    ]
    page = written["report.html"]
    assert "\x1b" not in page
    assert r"circle \xe9\x1b[31m" in page
    assert r"run \xfb&#39;" in page  # as a shell takes it


def test_the_run_answers(fitted, place, capsys):
    photos = place / "photos \udcff"
    own = answer(capsys, "evaluate", str(fitted))
    assert next(iter(own["classes"])) == CLASS
    files = [photos / "square" / "\udcfc.png", photos / "circle \udce9\x1b[31m" / "0001.png"]
    predicted = answer(capsys, "predict", str(fitted), *map(str, files))
    assert [p["error"] for p in predicted["predictions"]] == [None, None]
    assert set(predicted["predictions"][0]["probabilities"]) == {CLASS, "square", "triangle"}


def test_the_run_is_exported_again(fitted, place, capsys):
    answer(capsys, "export", str(fitted), "--out", str(place / "again \udcf8.onnx"))
    assert (place / "again \udcf8.onnx").is_file()


def test_the_screen_gets_no_escape_code(fitted, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(fitted)])
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert CLASS.replace("\x1b", r"\x1b") in shown.out
    shown.out.encode(sys.getfilesystemencoding())


def of_data(warnings):
    """The warnings on the data, without those on what a tiny run's accuracy is worth."""
    return [line for line in warnings if "not above chance" not in line and "95 %" not in line]


def test_evaluate_says_what_the_scan_found(fitted, place, capsys):
    with pytest.raises(SystemExit) as done:
        main(["evaluate", str(fitted), str(place / "photos \udcff")])
    assert done.value.code == 0
    left_out = r"left out 1 (not named as an image): square/\xfe.txt"
    assert left_out in capsys.readouterr().err
    told = answer(capsys, "evaluate", str(fitted), str(place / "photos \udcff"))
    assert left_out in told["warnings"]
    assert of_data(answer(capsys, "evaluate", str(fitted))["warnings"]) == []


def test_the_run_keeps_its_warnings(fitted):
    run = open_run(fitted)
    assert run.summary()["warnings"] == [*run.warnings, *run.doubts]
    assert run.warnings[-1] == r"left out 1 (not named as an image): square/\xfe.txt"
    (fitted / "scan.json").rename(fitted / "moved.json")
    assert run.warnings == []
    (fitted / "scan.json").write_text("{}")
    assert "cannot be read" in run.warnings[0]
    (fitted / "moved.json").replace(fitted / "scan.json")


def test_the_data_is_found_by_what_the_run_says(fitted):
    run = open_run(fitted)
    assert run.config.source.endswith(r"photos \xff")
    assert len(run.evaluate()) > 0
