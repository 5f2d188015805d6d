"""The Python examples of the README and of every page run as they stand."""

import re
from pathlib import Path

import pytest

from convatlas.models import registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[fti]*/*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples():
    for page in PAGES:
        for number, code in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            yield pytest.param(code, id=f"{page.relative_to(ROOT)}:{number}")


@pytest.mark.slow
@pytest.mark.parametrize("code", list(examples()))
def test_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What an example registers is gone after it.
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    exec(compile(code, "example", "exec"), {"__name__": "example"})


def test_there_are_examples():
    assert len(list(examples())) > 5
