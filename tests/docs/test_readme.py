"""The README says what is true of this checkout."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_atlas_is_that_of_the_code(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from generate import family_table

    between = re.search(r"<!-- atlas:.*?-->\n(.*?)\n<!-- /atlas -->", README, re.DOTALL)
    assert between is not None
    assert between[1] == family_table(), "run: make atlas"
    sys.modules.pop("generate")


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\$ make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_demo_shown_is_the_demo_run():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = re.search(r"^\$ convatlas (fit digits.*)$", README, re.MULTILINE)
    assert shown is not None
    assert shown[1] in makefile


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
