"""Every example of the operator pages runs, and every picture and table is what show-op gives."""

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "operators"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))


def script():
    spec = importlib.util.spec_from_file_location("draw_operators", FOLDER / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAW = script()


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page):
    text = (FOLDER / page).read_text("utf-8")
    examples = [(text[: m.start()].count("\n") + 1, m[1]) for m in FENCE.finditer(text)]
    assert examples, "a page has an example"
    for line, code in examples:
        assert "assert" in code, f"{page}:{line} shows what comes out"
        # The line numbers of an error are those of the page.
        exec(compile("\n" * line + code, str(FOLDER / page), "exec"), {})


@pytest.mark.parametrize("page", DRAW.PAGES)
def test_pictures_and_tables_are_what_show_op_gives(page, tmp_path):
    DRAW.draw_page(page, tmp_path)
    written = sorted(path for path in tmp_path.rglob("*.*"))
    assert len(written) == len(DRAW.PAGES[page]) + 1
    for path in written:
        kept = FOLDER / path.relative_to(tmp_path)
        assert kept.read_text("utf-8") == path.read_text("utf-8"), (
            f"{kept.name} is old; run docs/operators/draw.py"
        )


def test_every_picture_is_shown_and_every_page_is_listed():
    texts = {page: (FOLDER / page).read_text("utf-8") for page in PAGES}
    for page, calls in DRAW.PAGES.items():
        for name in calls:
            assert f"(pictures/{name}.svg)" in texts[f"{page}.md"]
        assert f"{{include}} costs/{page}.txt" in texts[f"{page}.md"]
    drawn = {name for calls in DRAW.PAGES.values() for name in calls}
    assert {path.stem for path in (FOLDER / "pictures").iterdir()} == drawn
    listed = texts["index.md"].partition(":maxdepth: 1")[2].partition("```")[0].split()
    assert {f"{name}.md" for name in listed} == set(PAGES) - {"index.md"}
