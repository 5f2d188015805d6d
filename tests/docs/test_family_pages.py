"""Every file of networks has a page, and the page's drawing shows the block that is there."""

import importlib
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from convatlas.models import create_model, find_entry, model_names

DOCS = Path(__file__).parents[2] / "docs"
FAMILIES = sorted(path.stem for path in (DOCS / "families").glob("*.md"))
SECTIONS = ("## When to choose it", "## Options", "## Training", "## Example", "\nSource: ")


@pytest.fixture(scope="module")
def docs():
    """The scripts of the documentation, imported from their folder."""
    names = ("block_graph", "draw_graph", "family_pages", "overview")
    sys.path.insert(0, str(DOCS))
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(DOCS))
    for name in names:
        sys.modules.pop(name)


def test_every_network_stands_on_a_page(docs):
    pages = docs["family_pages"]
    shown = {entry.name for family in FAMILIES for entry in pages.members(family)}
    registered = {n for n in model_names() if find_entry(n).ours}
    assert registered - shown == set()


@pytest.mark.parametrize("family", FAMILIES)
def test_page_has_its_sections_in_order(family):
    words = (DOCS / "families" / f"{family}.md").read_text("utf-8")
    places = [words.find(section) for section in SECTIONS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("family", FAMILIES)
def test_drawing_has_every_convolution_of_the_block(family, docs):
    pages, graph = docs["family_pages"], docs["block_graph"]
    words = (DOCS / "families" / f"{family}.md").read_text("utf-8")
    network, path, options = pages.block_of(words)
    assert network in {entry.name for entry in pages.members(family)}
    boxes = graph.block_graph(network, path, options)
    with torch.device("meta"):
        block = create_model(network, **options).get_submodule(path)
    layers = [m for m in block.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    words = [line for box in boxes for line in box.lines]
    drawn = sum("conv, " in w or "depthwise, " in w or w.startswith("linear ") for w in words)
    assert drawn >= len(layers) or not layers
    assert 2 <= len(boxes) <= 60
    ET.fromstring(docs["draw_graph"].draw(boxes, family))


def test_a_residual_block_is_drawn_with_its_shortcut(docs):
    boxes = docs["block_graph"].block_graph("resnet50", "stages.2.0")
    assert [box.lines for box in boxes] == [
        ["input"],
        ["1x1 conv, 256 → 128, stride 2", "batch norm", "ReLU"],
        ["3x3 conv, 128 → 128", "batch norm", "ReLU"],
        ["1x1 conv, 128 → 512", "batch norm"],
        ["1x1 conv, 256 → 512, stride 2", "batch norm"],
        ["add", "ReLU"],
    ]
    assert [box.reads for box in boxes] == [[], [0], [1], [2], [0], [3, 4]]
    assert boxes[0].shape == (1, 256, 56, 56)
    assert boxes[-1].shape == (1, 512, 28, 28)


def test_boxes_of_one_layer_do_not_overlap(docs):
    boxes = docs["block_graph"].block_graph("pydmobilenet29_cifar", "stages.1.0")
    root = ET.fromstring(docs["draw_graph"].draw(boxes, "block"))
    rects = [r.attrib for r in root.iter() if r.tag.endswith("rect") and r.get("rx")]
    assert len(rects) == len(boxes)
    by_layer: dict[str, list[tuple[float, float]]] = {}
    for rect in rects:
        left = float(rect["x"])
        by_layer.setdefault(rect["y"], []).append((left, left + float(rect["width"])))
    for spans in by_layer.values():
        spans.sort()
        assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_overview_shows_every_published_point_under_both_costs(docs):
    overview = docs["overview"]
    page = overview.overview_page()
    rows = [r for r in overview.rows() if r.published and r.published.dataset in overview.DATASETS]
    assert {r.published.dataset for r in rows} == set(overview.DATASETS)
    for row in rows:
        assert row.name in page
    assert page.count('"label":"parameters"') == len(overview.DATASETS)
    # The script that draws is loaded before the first picture asks for it.
    assert 0 < page.index("plotly.min.js") < page.index("Plotly.newPlot")
