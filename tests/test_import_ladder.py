"""A file imports from rows below its own or from its own folder, never upward, never in a circle.

The imports are read, not run: those inside functions and under TYPE_CHECKING count as well.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LADDER = (
    ("cli", "web"),
    ("pipeline",),
    ("tasks",),
    ("search", "deploy", "explain"),
    ("train",),
    ("atlas",),
    ("pretrained",),
    ("models", "data"),
    ("blocks",),
    ("ops", "cost", "claims"),
    ("kernels",),
)
HEIGHT = {room: len(LADDER) - row for row, rooms in enumerate(LADDER) for room in rooms}
# The floor: files beside the rooms, which every room may use and which use no room themselves.
HEIGHT |= {path.stem: 0 for path in (SOURCE / "convatlas").glob("[!_]*.py")}
HEIGHT |= dict.fromkeys(("errors", "text"), -1)  # of which other files of the floor are made
HEIGHT["__main__"] = len(LADDER) + 1  # starts the command line
PACKAGE = "convatlas"  # its version and lazy names; it knows every room, when asked
LIGHT_ROOMS = ("kernels", "ops", "blocks", "models", "cost", "claims")
ALSO_ALLOWED = {
    "models/detect": {"torchvision"},  # its compiled box operators
    "convatlas/kernels": {"numba", "llvmlite", "numpy"},  # the others come with numba
}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((SOURCE / "convatlas").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """Dotted names; `from a import b` is `a.b` where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module or ""


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def upward(module: str, imported: str) -> bool:
    here, there = room(module), room(imported)
    if here == there or PACKAGE in (here, there):
        return False
    return HEIGHT[there] >= HEIGHT[here]


@functools.cache
def imported_by(module: str) -> frozenset[str]:
    return frozenset(imports(ast.parse(MODULES[module].read_text("utf-8")), MODULES))


def test_imports_run_downward():
    found = {
        module: [
            name
            for name in imported_by(module)
            if name.split(".")[0] == PACKAGE and upward(module, name)
        ]
        for module in MODULES
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_no_imports_run_in_a_circle():
    graph = {}
    for module in MODULES:
        if module != PACKAGE:
            graph[module] = (imported_by(module) & set(MODULES)) - {PACKAGE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(reversed(error.args[1]))}")


LIGHT = [module for module in MODULES if room(module) in LIGHT_ROOMS]


def test_the_lower_rooms_need_torch_and_the_standard_library_only():
    found = {module: others(module) for module in LIGHT}
    assert {module: names for module, names in found.items() if names} == {}


def others(module: str) -> set[str]:
    """Packages that a file imports beside those that the lower rooms may have."""
    allowed = {"torch", PACKAGE} | set(sys.stdlib_module_names)
    for folder, names in ALSO_ALLOWED.items():
        if folder in MODULES[module].as_posix():
            allowed |= names
    return {name.split(".")[0] for name in imported_by(module)} - allowed


@pytest.mark.parametrize(
    ("module", "imported", "expected"),
    [
        ("convatlas.models.registry", "convatlas.cost", False),
        ("convatlas.cost.count", "convatlas.models", True),
        ("convatlas.models.registry", "convatlas.data.images.open", True),  # side by side
        ("convatlas.data.images.open", "convatlas.data.images.scan", False),
        ("convatlas.claims.loader", "convatlas.errors", False),
        ("convatlas.errors", "convatlas.claims", True),
        ("convatlas.pipeline.fit", "convatlas.cli.output", True),
    ],
)
def test_the_ladder_tells_up_from_down(module, imported, expected):
    assert upward(module, imported) is expected


def test_importing_the_package_does_not_import_torch():
    code = "import convatlas, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_and_labels_know_nothing_of_what_is_in_the_files():
    """`data/sources` serves every kind of input, so it imports none."""
    for module in MODULES:
        if module.startswith(f"{PACKAGE}.data.sources"):
            assert [name for name in imported_by(module) if ".data.images" in name] == [], module
