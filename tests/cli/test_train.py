"""The verb `train`: one network by a recipe, as a run that everything else opens."""

import json

import pytest

from convatlas.cli.lr_find import train_line
from convatlas.data import make_images
from convatlas.pipeline.run import open_run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_images(
        tmp_path_factory.mktemp("train") / "photos", classes=2, per_class=20, size=28
    )


@pytest.mark.slow
def test_a_recipe_makes_a_run_and_the_run_teaches_another(convatlas, photos, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "source: by hand\nnetwork: lenet5\ntraining: {lr: 0.05, epochs: 3, batch_size: 8}\n",
        encoding="utf-8",
    )
    words = ("--set", "momentum=0.9", "--set", "label_smoothing=0.1", "--epochs", "2")
    done = convatlas("train", recipe, photos, *words, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    assert done.json["model"] == "lenet5"
    run = open_run(tmp_path / "run")
    assert run.config.finished == "yes"
    said = {"lr": 0.05, "momentum": 0.9, "epochs": 2, "weight_decay": 0, "ema_decay": 0}
    assert said.items() <= run.config.recipe.items()
    assert run.config.training["label_smoothing"] == 0.1
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "convatlas train" in page
    again = convatlas(
        *("train", recipe, photos, "--teacher", tmp_path / "run", "--temperature", "2"),
        *("--set", "mixup=0.2", "--out", tmp_path / "taught"),
    )
    assert again.code == 2
    assert "goes with neither mixup nor cutmix" in again.err
    taught = convatlas(
        *("train", recipe, photos, "--teacher", tmp_path / "run", "--temperature", "2"),
        *("--out", tmp_path / "taught", "--json"),
    )
    assert taught.code == 0, taught.err
    stored = json.loads((tmp_path / "taught" / "run.json").read_text(encoding="utf-8"))
    assert stored["training"]["temperature"] == 2
    reached = open_run(tmp_path / "taught").evaluate().figures["accuracy"]
    assert reached == pytest.approx(taught.json["accuracy"])


def test_unknown_words_are_refused_before_anything_is_read(convatlas, photos, tmp_path):
    for words, says in [
        (("resnet_cifra",), "no recipe and no network 'resnet_cifra'; nearest: resnet_cifar"),
        (("resnet_cifar", "--set", "lrr=1"), "no option 'lrr'"),
        (("resnet_cifar", "--set", "lr"), "--set must be NAME=VALUE"),
        (("resnet_cifar", "--set", "lr=1", "--set", "lr=2"), "option 'lr' is given twice"),
    ]:
        name, *options = words
        done = convatlas("train", name, photos, *options, "--out", tmp_path / "run")
        assert done.code == 2, done.err
        assert says in done.err
        assert not (tmp_path / "run").exists()


def test_the_line_that_trains_keeps_what_was_set_and_can_be_pasted():
    settings = ["lr=0.1", "batch_size=8", "augmentation=tiny"]
    assert train_line("lenet5", "my photos", settings, 0.0123) == (
        "convatlas train lenet5 'my photos' --set batch_size=8 --set augmentation=tiny "
        "--set lr=0.012"
    )


@pytest.mark.slow
def test_a_rate_is_found_and_its_picture_never_replaces_a_file(convatlas, photos, tmp_path):
    words = ("lr-find", "lenet5", photos, "--out", tmp_path / "rates.png", "--set", "batch_size=8")
    done = convatlas(*words, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["rates"][0] == pytest.approx(1e-6)
    assert found["suggested"] < found["rises"] <= 10
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    again = convatlas(*words)
    assert again.code == 2
    assert "rates.png is there already: --force replaces it" in again.err
    odd = convatlas(*words[:-4], "--out", tmp_path / "x.svg")
    assert "--out must end in .png" in odd.err
    assert "--lowest must be above 0" in convatlas(*words, "--force", "--lowest", "11").err
