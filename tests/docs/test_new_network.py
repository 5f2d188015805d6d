"""The files that `make new` lays work as they are, and nothing half-written stays in the tree."""

import importlib
import sys
from pathlib import Path

import pytest

from convatlas.claims.loader import load_papers
from convatlas.models import registry

ROOT = Path(__file__).parents[2]
SCRIPTS = (
    "block_graph",
    "draw_graph",
    "family_pages",
    "generate",
    "new_network",
    "overview",
    "readme_parts",
    "write_atlas",
)


@pytest.fixture(scope="module")
def docs():
    """The scripts of the documentation, imported from their folder."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield {name: importlib.import_module(name) for name in SCRIPTS}
    sys.path.remove(str(ROOT / "docs"))
    for name in SCRIPTS:
        sys.modules.pop(name)


@pytest.fixture
def new(docs, tmp_path):
    """`new_network` in a checkout that has the folders only."""
    for place in docs["new_network"].FILES.values():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    return lambda *words: docs["new_network"].new_network(*words, root=tmp_path)


def test_the_network_that_is_laid_works(new, monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    model, test, claims, page = new("my_net2")
    space = {"__name__": "laid"}
    exec(compile(model.read_text("utf-8"), "my_net2.py", "exec"), space)
    network, (x,) = space["MyNet2"].tiny()
    assert network(x).shape == (2, 5)
    assert registry.find_entry("my_net2").task == "classify"
    assert registry.create_model("my_net2", features_only=True).feature_strides == [2, 4, 8]
    assert load_papers(claims.parent)[0].family == "my_net2"
    assert '"my_net2"' in test.read_text("utf-8")
    example = page.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    exec(compile(example, "page", "exec"), {})
    assert "<!-- block: my_net2 stages.1 -->" in page.read_text("utf-8")


def test_the_class_may_be_spelled_as_in_the_paper(new):
    model, _, _, page = new("my_net", "MyNET")
    assert "class MyNET(nn.Module)" in model.read_text("utf-8")
    assert page.read_text("utf-8").startswith("# MyNET\n")


def test_what_exists_is_never_replaced(new, tmp_path):
    claims = tmp_path / "src/convatlas/claims/my_net.toml"
    claims.write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"claims/my_net.toml exists; nothing was written"):
        new("my_net")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [claims]
    assert claims.read_text(encoding="utf-8") == "mine"
    with pytest.raises(ValueError, match="a network 'resnet18' exists"):
        new("resnet18")


@pytest.mark.parametrize("name", ["MyNet", "my-net", "2net", "", "../net", "my__net"])
def test_a_name_that_is_no_name_of_a_file_is_refused(new, name):
    with pytest.raises(ValueError, match="must be in snake case"):
        new(name)


def test_a_class_must_be_spelled_like_one(new):
    with pytest.raises(ValueError, match="must be in camel case, got 'my'"):
        new("my_net", "my")


def test_a_refusal_is_one_line_and_no_success(docs, capsys):
    assert docs["new_network"].main(["resnet18"]) == 2
    assert docs["new_network"].main([]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_family_without_a_page_gets_one_to_fill(docs, tmp_path, monkeypatch):
    atlas = docs["write_atlas"]
    assert atlas.files_without_page() == []
    for path in (ROOT / "docs" / "families").glob("*.md"):
        if path.stem != "peleenet":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(atlas, "FAMILIES", tmp_path)
    monkeypatch.setattr(docs["family_pages"], "FAMILIES", tmp_path)
    assert atlas.files_without_page() == ["peleenet"]
    words = atlas.write_stub("peleenet").read_text("utf-8")
    assert words.startswith("# PeleeNet\n<!-- block: peleenet stages.1 -->")
    assert "\nSource: Wang" in words
    assert atlas.files_without_page() == []


def test_a_part_of_the_readme_is_replaced_between_its_comments(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one: how -->\nold\n<!-- /one -->\nb\n", encoding="utf-8")
    docs["readme_parts"].replace_part(page, "one", r"new \1")
    assert page.read_text("utf-8") == "a\n<!-- one: how -->\nnew \\1\n<!-- /one -->\nb\n"
    with pytest.raises(ValueError, match="must have one place <!-- two"):
        docs["readme_parts"].replace_part(page, "two", "new")


def test_nothing_that_was_laid_is_left_unwritten():
    laid = ("src/convatlas/models/*/*.py", "src/convatlas/claims/*.toml")
    laid += ("docs/families/*.md", "tests/models/classify/*.py")
    left = [
        f"{path.relative_to(ROOT)}: {line}"
        for pattern in laid
        for path in sorted(ROOT.glob(pattern))
        for line in path.read_text("utf-8").splitlines()
        if "WRITE:" in line
    ]
    assert left == []
