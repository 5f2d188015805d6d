"""A file is on the shelf because it lies in the folder."""

import sys

import pytest

from convatlas.models import classify, find_entry, model_names
from convatlas.models.shelf import import_all


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "a_shelf"
    folder.mkdir()
    for name in ("__init__", "zebra", "ant"):
        (folder / f"{name}.py").write_text(f"HERE = '{name}'\n", encoding="utf-8")
    (folder / "nest").mkdir()
    (folder / "nest" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "notes.txt").write_text("no module", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "a_shelf"]:
        del sys.modules[name]


def test_files_and_folders_are_imported_by_letter(shelf):
    assert import_all("a_shelf", [str(shelf)]) == ["ant", "nest", "zebra"]
    assert sys.modules["a_shelf.zebra"].HERE == "zebra"
    assert "a_shelf.nest" in sys.modules


def test_a_file_that_does_not_import_says_so(shelf):
    (shelf / "broken.py").write_text("import no_such_module_at_all\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        import_all("a_shelf", [str(shelf)])


def test_every_network_of_the_atlas_declares_a_task_of_its_shelf():
    shelves = {"separate": "speech", "extract": "speech", "forecast": "graphs"}
    shelves |= {"language": "translate", "reconstruct": "generate", "gan": "generate"}
    for entry in map(find_entry, model_names()):
        if entry.ours:
            shelf = shelves.get(entry.task, entry.task)
            assert entry.module.startswith(f"convatlas.models.{shelf}."), entry.name


def test_the_names_come_in_the_order_of_the_files():
    entries = [find_entry(name) for name in model_names()]
    files = [e.module.rpartition(".")[2] for e in entries if e.task == "classify"]
    assert {"lenet", "resnet", "xception"} <= set(files) <= set(classify.__all__)
    assert files[0] == "alexnet"
    assert files[-1] == "xception"
