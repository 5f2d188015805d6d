"""Folders of the kernel room import from folders below their own, and from no other room."""

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[1] / "src/convatlas/kernels"
ORDER = ("layers", "launch", "compiled", "codegen", "layout", "runtime")
OTHERS = {"convatlas.errors"}
FILES = sorted(path for path in ROOM.rglob("*.py") if path.parent != ROOM)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOM).as_posix())
def test_imports_run_down_the_folders(path):
    here = ORDER.index(path.parent.name)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convatlas"):
            if node.module in OTHERS:
                continue
            _, room, *rest = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert room == "kernels"
            assert ORDER.index(rest[0]) >= here, f"{path.name} imports {node.module}"


def test_every_file_that_the_room_page_names_is_there():
    text = (ROOM / "README.md").read_text("utf-8")
    folders = tuple(f"{folder}/" for folder in ORDER)
    names = {word.strip("`,:;.()") for word in text.split() if word.strip("`(").startswith(folders)}
    names = {name.partition(":")[0] for name in names if ".py" in name and "NAME" not in name}
    assert len(names) > 20
    assert [name for name in sorted(names) if not (ROOM / name).exists()] == []


MAX_ARGUMENTS = 14  # what belongs together is a record (`layout/records.py`)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOM).as_posix())
def test_no_function_takes_a_long_row_of_arguments(path):
    long = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            if count > MAX_ARGUMENTS:
                long.append((node.name, count))
    assert long == []
