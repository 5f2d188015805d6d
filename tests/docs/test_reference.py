"""The built reference shows signatures, and its pages need nothing from elsewhere."""

import html
import importlib
import io
import re
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("latex2mathml")

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = ("generate", "mathml", "family_pages", "overview", "block_graph", "draw_graph")
OUTSIDE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^>]*")
FORMULA = re.compile(r"```\{math\}\n(.*?)```|\{math\}`([^`]*)`", re.DOTALL)


@pytest.fixture(scope="module")
def scripts():
    """The scripts of the documentation, imported from their folder."""
    sys.path.insert(0, str(DOCS))
    yield {name: importlib.import_module(name) for name in ("generate", "mathml")}
    sys.path.remove(str(DOCS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def built(folder, generate, pages):
    """The pages of a build with the settings of the documentation, and what it warned of."""
    source, warned = folder / "source", io.StringIO()
    (source / "reference").mkdir(parents=True)
    (source / "index.md").write_text(
        "# Home\n\n```{toctree}\nreference/index\n```\n", encoding="utf-8"
    )
    for name, text in pages.items():
        (source / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # Sphinx's own napoleon still asks autodoc in the way that Sphinx has given up.
        warnings.filterwarnings("ignore", "The mapping interface for autodoc options")
        patch.setattr(generate, "write_generated", lambda folder: None)  # what conf.py begins with
        app = Sphinx(
            source,
            DOCS,
            folder / "html",
            folder / "tree",
            "html",
            confoverrides={"html_static_path": []},
            status=None,
            warning=warned,
        )
        app.build()
    # The source code that viewcode shows may hold anything.
    files = [*(folder / "html").glob("*.html"), *(folder / "html" / "reference").glob("*.html")]
    shown = {path.stem: path.read_text("utf-8") for path in files}
    return shown, warned.getvalue()


@pytest.fixture(scope="module")
def reference(tmp_path_factory, scripts):
    generate = scripts["generate"]
    pages = {
        generate._slug(heading): generate.reference_page(heading, modules)
        for heading, modules in generate.REFERENCE.items()
    }
    pages["formula"] = "# Formula\n\n{math}`k^2` and\n\n```{math}\n\\frac{a}{b}\n```\n"
    pages["index"] = generate._list_of("All", pages)
    return built(tmp_path_factory.mktemp("reference"), generate, pages)


@pytest.mark.slow
def test_reference_builds_without_a_warning(reference):
    assert reference[1] == ""


@pytest.mark.slow
def test_every_page_of_the_reference_has_signatures(reference, scripts):
    for heading in scripts["generate"].REFERENCE:
        assert 'class="sig sig-object py"' in reference[0][scripts["generate"]._slug(heading)]


@pytest.mark.slow
def test_signature_has_its_parameters(reference):
    page = html.unescape(re.sub(r"<[^>]+>", "", reference[0]["main_job"]))
    assert re.search(r"convatlas\.pipeline\.run\.open_run\(\w+: ", page)


@pytest.mark.slow
def test_no_directive_is_left_as_text(reference):
    for name, page in reference[0].items():
        assert not re.search(r"\.\. (auto|py:|math::)", page), name
        assert "```" not in page, name


@pytest.mark.slow
def test_index_names_what_the_reference_has(reference):
    index = reference[0]["genindex"]
    for name in (
        "top_level.html#convatlas.fit",
        "main_job.html#convatlas.pipeline.run.Run.predict",
    ):
        assert f'href="reference/{name}"' in index


@pytest.mark.slow
def test_formula_stands_in_the_page(reference):
    page = reference[0]["formula"]
    assert "<msup>" in page
    assert "<mfrac>" in page
    assert "\\frac" not in page


@pytest.mark.slow
def test_no_page_asks_for_anything_from_elsewhere(reference):
    for name, page in reference[0].items():
        assert OUTSIDE.findall(page) == [], name


def test_every_formula_of_the_pages_can_be_read(scripts):
    found = 0
    for path in sorted(DOCS.glob("[!r]*/**/*.md")):
        for block, inline in FORMULA.findall(path.read_text("utf-8")):
            scripts["mathml"].mathml(block or inline, block=bool(block))
            found += 1
    assert found > 50


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", r"\left( x"])
def test_formula_that_cannot_be_read_says_so(latex, scripts):
    with pytest.raises(ValueError, match="formula"):
        scripts["mathml"].mathml(latex, block=False)


def test_no_page_of_the_reference_takes_the_place_of_another(scripts):
    generate = scripts["generate"]
    slugs = [generate._slug(heading) for heading in generate.REFERENCE]
    assert len({*slugs, "atlas", "claims", "overview", "index"}) == len(slugs) + 4
