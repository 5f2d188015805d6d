import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import export_onnx
from convatlas.explain.classes.score import wilson_interval
from convatlas.pipeline.report.page import write_report
from convatlas.pipeline.snippets import commands

SECTIONS = {
    *("result", "candidates", "learning", "confusion", "mistakes"),
    *("cost", "published", "data", "reuse"),
}
PLACES = ("tradeoff", "loss", "metric", "confusion", "layers")
CLAIM = {
    "model": "small_net",
    "quantity": "top1_percent",
    "printed": "70.6%",
    "published": 70.6,
    "ours": None,
    "unit": "%",
    "where": "table <8>",
    "status": "not_checked",
    "why": "needs training on imagenet",
}
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements, their text and their attributes; fails where elements are not closed in order."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.last: str | None = None
        self.by_id: dict[str, str] = {}
        assert text.startswith("<!DOCTYPE html>")
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.last = dict(attrs).get("id")
        self.text += " " if tag == "td" else ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.last and data.strip():
            self.by_id.setdefault(self.last, data)
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]

    def figure(self, place):
        return [choice["figure"] for choice in json.loads(self.by_id[f"figure-{place}"])]


@pytest.fixture
def report(tmp_path, config, data, answered, log, layers):
    def write(**changed):
        inputs = {
            "config": config,
            "data": data,
            "log": log,
            "evaluation": answered(changed.get("data", data), wrong=2),
            "layers": layers,
            "claims": [CLAIM],
            "scan": data.scan.to_dict(),
        }
        path = write_report(tmp_path / "report.html", **(inputs | changed))
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
        return Page(path.read_text(encoding="utf-8"))

    return write


def words(page) -> str:
    return re.sub(r"\s+", " ", page.text)


def test_every_section_is_there_and_linked(report):
    page = report()
    ids = set(page.attributes("id"))
    assert ids >= SECTIONS
    assert {href for href in page.attributes("href") if href.startswith("#")} == {
        f"#{section}" for section in SECTIONS
    }


def test_it_loads_nothing(report):
    page = report()
    for name in ("src", "href", "action", "data", "poster", "srcset"):
        for value in page.attributes(name):
            assert value.startswith(("#", "data:image/")), value
    assert "link" not in {tag for tag, _ in page.elements}
    (policy,) = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_names_cannot_become_markup(report):
    page = report()
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert len(scripts) == len(page.by_id.keys() & {f"figure-{p}" for p in PLACES}) + 2
    assert "title" in {tag for tag, _ in page.elements}
    assert '<script>alert("1")</script>' in page.text
    assert "zwei\\nZeilen & <b>" in page.text
    assert not any("onerror" in attrs or attrs.get("src") == "x" for _, attrs in page.elements)


def test_figures_hold_what_was_given(report, config, log, layers):
    page = report()
    star = [t for t in page.figure("tradeoff")[0]["data"] if t["name"] == "chosen"]
    assert [(t["x"], t["y"]) for t in star] == [([417_000], [0.97])]
    assert page.figure("loss")[0]["data"][1]["y"] == [row["val_loss"] for row in log]
    assert page.figure("metric")[0]["data"][0]["y"] == [row["val_accuracy"] for row in log]
    right, wrong = page.figure("confusion")[0]["data"]
    assert [row[i] for i, row in enumerate(right["text"])] == ["2", "2", "3"]
    assert sum(n or 0 for row in wrong["z"] for n in row) == 2
    macs, params, outputs = page.figure("layers")
    assert macs["data"][0]["x"] == [169_344, 24]
    assert params["data"][0]["x"] == [224, 16, 27]
    assert outputs["data"][0]["x"] == [25_088, 12]


def test_costs_unknown_of_all_candidates_get_no_picture(report):
    quantities = [
        figure["layout"]["xaxis"]["title"]["text"] for figure in report().figure("tradeoff")
    ]
    assert quantities == ["multiply-adds", "parameters"]


def test_the_headline_says_accuracy_interval_costs_and_proof(report):
    text = words(report())
    low, high = wilson_interval(7, 9)
    assert f"test accuracy 77.78% between {100 * low:.1f} and {100 * high:.1f} %" in text
    assert "parameters 61.0 k 61 % of the budget of 100 k" in text
    assert "latency 480 µs 5 % of the budget of 10.0 ms" in text
    assert "multiply-adds 417 k no limit was set" in text
    assert "same top-1 on 6 real images; no number differs by more than 4.2e-07" in text


def test_every_candidate_stands_in_a_table_with_its_outcome(report, config):
    text = words(report())
    assert all(c.model in text for c in config.leaderboard)
    assert "over budget: params 250,000 is 2.5 x the budget" in text
    assert "not trained: others <looked> better" in text
    assert "The 4 that were not trained: 2 left out, 2 over budget" in text


def test_mistakes_are_shown_with_both_classes(report):
    page = report()
    assert "All 2 mistakes, most confident first." in words(page)
    assert "predicted zwei\\nZeilen & <b> 90.0 %" in words(page)
    alts = [a["alt"] for t, a in page.elements if t == "img" and "training" not in a["alt"]]
    assert alts == ["<img src=x>\\n&/0", "<img src=x>\\n&/1"]
    assert all(a.get("alt") for t, a in page.elements if t == "img")


def test_one_mistake_and_none(report, data, answered):
    assert "The only mistake." in words(report(evaluation=answered(data, 1)))
    page = report(evaluation=answered(data, 0))
    assert "None: every test image was classified correctly." in words(page)
    assert "100.00% between" in words(page)
    assert "Most often confused" not in words(page)


def test_claims_are_listed_or_their_absence_said(report):
    page = report()
    assert "top1 70.6% - table <8> not checked: needs training on imagenet" in words(page)
    assert "No published figures are on record" in words(report(claims=[]))


def test_an_empty_log_is_said(report):
    page = report(log=[])
    assert "training ended before the first validation" in words(page)
    assert "figure-loss" not in page.by_id


def test_a_log_with_losses_that_are_no_numbers_is_valid_json(report, log):
    log[0]["train_loss"] = float("nan")
    text = report(log=log).by_id["figure-loss"]
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_an_interrupted_run_without_export_says_both(report, config):
    config.finished, config.proof, config.file_bytes = "interrupted", None, None
    text = words(report(config=config))
    assert "Training was interrupted" in text
    assert "not exported" in text


def test_what_the_scan_found_is_named(report, data):
    scan = data.scan.to_dict() | {
        "broken": [("bad <1>.png", "the file is empty")] * 50,
        "leaks": [("a.png", "train", "b\n.png", "test")],
        "conflicts": [("c.png", "cat", "d.png", "dog")],
        "renamed": [("e.jpg", "PNG content in a file named .jpg")],
        "ignored": ["notes.txt"],  # as older runs have it
        "notes": ["list.csv: no header"],
    }
    text = words(report(scan=scan))
    assert "bad <1>.png: the file is empty" in text
    assert "and 10 more, in scan.json" in text
    assert "a.png (train) and b\\n.png (test)" in text
    assert "c.png (cat) and d.png (dog)" in text
    assert "e.jpg: PNG content in a file named .jpg" in text
    assert "notes.txt: not named as an image" in text
    assert "list.csv: no header" in text
    assert ".git/: hidden" in words(report(scan=scan | {"ignored": [(".git/", "hidden")]}))
    assert "No broken file" in words(report())
    assert "No broken file" not in text


def test_many_classes_stay_bounded(report, config, build_data, answered):
    data = build_data(classes=200, each=3)
    config.facts["classes"] = list(data.classes)
    page = report(config=config, data=data, evaluation=answered(data, 60), scan=data.scan.to_dict())
    assert "Of 200 classes the 30 with the most mistakes" in words(page)
    assert "30 of 200 classes." in words(page)
    assert len(page.figure("confusion")[0]["data"][0]["x"]) == 30
    assert len([1 for tag, _ in page.elements if tag == "img"]) <= 150 + 24


def test_a_vanished_file_leaves_a_gap_and_no_error(report, data, tmp_path):
    from convatlas.data.images.image_data import FileStore, ImageData, Split

    gone = {
        name: Split(split.files, split.labels, FileStore(tmp_path / "gone", 3))
        for name, split in data.splits.items()
    }
    page = report(data=ImageData(**{**vars(data), "splits": gone}))
    assert "the file is missing" in words(page)


def test_commands_survive_the_shell_and_repeat_the_budget(config, tmp_path):
    import shlex

    rows = dict(commands(tmp_path / "a run", config))
    fit = shlex.split(rows["Repeat the whole job"])
    assert fit == [
        *("convatlas", "fit", config.source, "--max-params", "100000"),
        *("--max-latency", "10ms", "--seed", "7"),
    ]
    assert shlex.split(rows["Measure it on another machine"])[-1] == str(tmp_path / "a run")


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_the_runtime_code_on_the_page_runs_on_the_file(
    tmp_path, monkeypatch, capsys, config, data, answered, log, layers, channels
):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, 3))
    preprocess = Preprocess(channels, 8, [0.5] * channels, [0.1] * channels)
    classifier = ImageClassifier(preprocess, network, config.facts["classes"])
    folder = tmp_path / "it's a run"
    folder.mkdir()
    export_onnx(classifier, folder / "model.onnx", metadata={})
    config.facts["channels"] = channels
    path = write_report(
        folder / "report.html",
        config=config,
        data=data,
        log=log,
        evaluation=answered(data, 2),
        layers=layers,
        claims=[],
        scan=data.scan.to_dict(),
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, channels), dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    code = Page(path.read_text(encoding="utf-8")).by_id["runtime-code"]
    exec(code, {})  # the page's own words, as a reader would paste them
    answer = classifier.predict([torch.from_numpy(pixels)])[0]
    name = config.facts["classes"][int(answer.argmax())]
    assert capsys.readouterr().out.startswith(f"{name} {float(answer.max()):.4f}"[:-2])


def test_how_deep_files_were_read_stands_on_the_page(report, data):
    line = "9 files of over 8 bits hold values of 12 bits: 0 is black and 4,095 is white"
    scan = data.scan.to_dict() | {"reading": [line]}
    assert line in words(report(scan=scan))
    older = {key: value for key, value in scan.items() if key not in ("reading", "notes")}
    assert "12 bits" not in words(report(scan=older))
