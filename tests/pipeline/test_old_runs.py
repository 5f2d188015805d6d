"""Runs that versions before the tasks wrote open with every figure that they held."""

import json

import pytest

from convatlas.errors import DataError
from convatlas.pipeline.config import RunConfig

OLD = {
    "version": "0.1.0",
    "created": "2026-01-02T03:04:05+00:00",
    "task": "classify",
    "source": "photos",
    "seed": 7,
    "classes": ["cat", "dog"],
    "model": "lenet5",
    "options": {"in_channels": 1, "num_classes": 2},
    "channels": 1,
    "size": 32,
    "mean": [0.25],
    "std": [0.5],
    "crop": 0.875,
    "filter": "bicubic",
    "reading": {"max_pixels": 1000, "value_range": None, "whole": [0.0, 4095.0], "floats": None},
    "budget": {"params": 100_000},
    "recipe": {"lr": 0.1},
    "counts": {"train": 9, "val": 3, "test": 100},
    "params": 61_000,
    "macs": 417_000,
    "activation_bytes": 40_000,
    "peak_bytes": 289_000,
    "latency_s": 0.00048,
    "threads": 1,
    "accuracy": 0.91,
    "val_accuracy": 0.93,
    "test": {
        "images": 100,
        "right": 91,
        "accuracy": 0.91,
        "interval": [0.838, 0.952],
        "commonest_class": "cat",
        "commonest_share": 0.5,
        "balanced_accuracy": None,
    },
    "proof": {
        "format": "onnx",
        "samples": 100,
        "max_difference": 1e-6,
        "top1_agreement": 1.0,
        "tolerance": 1e-4,
        "runtime": "ONNX Runtime 1.2.3, CPU",
    },
    "leaderboard": [
        {"model": "lenet5", "options": {}, "size": 32, "accuracy": 0.93, "status": "chosen"},
        {"model": "vgg11", "options": {}, "size": 28, "accuracy": None, "status": "over budget"},
    ],
}


def opened(folder, **changes):
    (folder / "run.json").write_text(json.dumps(OLD | changes))
    return RunConfig.load(folder)


def test_everything_is_where_it_is_now(tmp_path):
    config = opened(tmp_path)
    assert config.facts["classes"] == ["cat", "dog"]
    assert (config.facts["channels"], config.facts["reading"]["max_pixels"]) == (1, 1000)
    assert config.settings == {
        "size": 32,
        "mean": [0.25],
        "std": [0.5],
        "crop": 0.875,
        "filter": "bicubic",
    }
    assert (config.example, config.input) == ({"size": 32}, [1, 32, 32])
    assert (config.metric.key, config.value) == ("accuracy", 0.91)
    assert config.validation == {"accuracy": 0.93}
    assert config.test.words.startswith("91.00% on 100 images")
    assert config.test.interval == (0.838, 0.952)
    assert config.proof.agreement == 1
    chosen, other = config.leaderboard
    assert (chosen.value(config.metric), chosen.input) == (0.93, "32 px")
    assert (other.figures, other.example) == ({}, {"size": 28})


def test_saved_again_it_stays_the_same(tmp_path):
    config = opened(tmp_path)
    config.save(tmp_path)
    assert RunConfig.load(tmp_path) == config


def test_older_ones_without_a_score_or_a_filter_open(tmp_path):
    for key in ("test", "proof", "crop", "filter", "reading", "leaderboard"):
        old = {k: v for k, v in OLD.items() if k != key}
        (tmp_path / "run.json").write_text(json.dumps(old))
        assert RunConfig.load(tmp_path).value == 0.91


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": ["a", "a"]}, "one is listed twice"),
        ({"mean": [0.1, 0.2]}, "mean and std must have 1 values"),
        ({"size": 0}, "size"),
        ({"accuracy": 1.5}, "accuracy"),
        ({"test": {"images": "many"}}, "test"),
    ],
)
def test_damaged_ones_are_refused_by_name(tmp_path, changes, says):
    with pytest.raises(DataError, match=says):
        opened(tmp_path, **changes)
