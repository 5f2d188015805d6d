import importlib.metadata
import tempfile
from pathlib import Path

import pytest

from convatlas.cli import doctor
from convatlas.cli.doctor import read_requirement


def test_real_command_finds_what_is_needed(program):
    answer = program("doctor", "--json")
    assert (answer.code, answer.json["missing"]) == (0, [])
    found = {f["what"]: f["found"] for f in answer.json["findings"]}
    for package in ("torch", "torchvision", "accelerate", "onnx", "onnxruntime"):
        assert found[package] == importlib.metadata.version(package)
    assert found["digits"] == "5,000 embedded images"
    assert {"CPU threads", "memory", "disk", "CUDA", "temporary"} <= set(found)


def pretend(monkeypatch, versions):
    """Let packages have other versions, None for not installed."""
    real = importlib.metadata.version

    def version(name):
        if name in versions and versions[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def findings(answer):
    return {f["what"]: f for f in answer.json["findings"]}


def test_needed_package_that_is_missing_fails_with_the_command_that_mends_it(
    convatlas, monkeypatch
):
    pretend(monkeypatch, {"onnxruntime": None})
    answer = convatlas("doctor", "--json")
    assert (answer.code, answer.json["missing"]) == (1, ["onnxruntime"])
    mend = findings(answer)["onnxruntime"]["mend"]
    assert mend.startswith("pip install 'onnxruntime>=")
    assert "missing: onnxruntime" in convatlas("doctor").out


def test_package_that_is_too_old_is_missing_too(convatlas, monkeypatch):
    pretend(monkeypatch, {"torch": "2.9.1+cpu"})
    answer = convatlas("doctor", "--json")
    assert answer.code == 1
    assert findings(answer)["torch"]["found"].startswith("2.9.1+cpu, must be 2.")


def test_optional_package_names_its_extra_and_is_no_failure(convatlas, monkeypatch):
    pretend(monkeypatch, {"tensorboard": None, "openvino": None})
    answer = convatlas("doctor", "--json")
    assert answer.code == 0
    extra = findings(answer)["tensorboard (extra tensorboard)"]
    assert extra["status"] == "optional"
    assert extra["mend"] == "pip install 'convatlas[tensorboard]'"
    assert findings(answer)["openvino"]["status"] == "optional"


def test_tools_of_developers_are_not_asked_for(convatlas):
    assert not {"ruff", "pytest", "sphinx", "timm"} & {
        what.split()[0] for what in findings(convatlas("doctor", "--json"))
    }


def test_folder_that_cannot_be_written_is_named(convatlas, monkeypatch, tmp_path):
    # A folder that is gone fails for root too, whom no permission stops.
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "gone"))
    answer = convatlas("doctor", "--json")
    assert (answer.code, answer.json["missing"]) == (1, ["temporary"])
    assert str(Path(tmp_path) / "gone") in findings(answer)["temporary"]["found"]


def test_full_disk_is_named(convatlas, monkeypatch):
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 1e30)
    assert convatlas("doctor", "--json").json["missing"] == ["disk"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("torch>=2.11", ("torch", "2.11", None)),
        ("pillow", ("pillow", "", None)),
        ("tensorboard>=2.16; extra == 'tensorboard'", ("tensorboard", "2.16", "tensorboard")),
        ('a-b_c>=1,<2 ; extra == "x"', ("a-b_c", "1", "x")),
    ],
)
def test_requirements_are_read(text, parts):
    assert read_requirement(text) == parts


def test_versions_are_compared_as_numbers(monkeypatch):
    pretend(monkeypatch, {"typer": "0.9"})
    assert doctor._package("typer", "0.12", None).status == "missing"
    pretend(monkeypatch, {"typer": "0.100"})
    assert doctor._package("typer", "0.12", None).status == "ok"


@pytest.mark.parametrize("here", [True, False])
def test_public_weights_on_this_machine_are_named_or_the_extra_that_brings_some(
    here, convatlas, monkeypatch
):
    from convatlas import pretrained

    monkeypatch.setattr(pretrained, "has_local_weights", lambda name: here and name == "vgg16")
    answer = convatlas("doctor", "--json")
    found = findings(answer)["public weights"]
    assert answer.code == 0
    if here:
        assert (found["status"], found["found"]) == ("ok", "on this machine: vgg16")
    else:
        assert (found["status"], found["mend"]) == (
            "optional",
            "pip install 'convatlas[offline-weights]'",
        )
