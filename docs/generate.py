"""Writes the pages that nobody writes by hand: the atlas and the reference of the public names."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from family_pages import cell, family_names, members, title, write_changed, write_families
from overview import overview_page, write_plotly

from convatlas.atlas.compare import Row, compare_all, indexed
from convatlas.atlas.index import Indexed, read_index
from convatlas.atlas.listing import Accuracy, rows
from convatlas.claims.loader import load_claims, load_papers
from convatlas.text import format_number, shape_text

REFERENCE = {
    "Top level": ["convatlas"],
    "Models": [
        "convatlas.models.registry",
        "convatlas.models.features",
        "convatlas.models.ensemble",
        "convatlas.models.speech.streaming",
        "convatlas.models.speech.speaker_statistics",
    ],
    "Public weights": [
        "convatlas.pretrained.create",
        "convatlas.pretrained.checkpoint",
        "convatlas.pretrained.places",
        "convatlas.pretrained.translate",
    ],
    "Counting": ["convatlas.cost"],
    "Cards and tables": [
        "convatlas.atlas.listing",
        "convatlas.atlas.card",
        "convatlas.atlas.compare",
    ],
    "Data": [
        "convatlas.data.dataset",
        "convatlas.data.images.open",
        "convatlas.data.images.image_data",
        "convatlas.data.images.scan",
        "convatlas.data.images.preprocess",
        "convatlas.data.images.resize",
        "convatlas.data.images.augment",
        "convatlas.data.images.cache",
    ],
    "Training": [
        "convatlas.train.loop",
        "convatlas.train.task",
        "convatlas.train.recipe",
        "convatlas.train.tasks.classify",
        "convatlas.train.ema",
        "convatlas.train.weights",
    ],
    "Search": [
        "convatlas.search.budget",
        "convatlas.search.space",
        "convatlas.search.costed",
        "convatlas.search.shortlist",
        "convatlas.search.halving",
    ],
    "Tasks": [
        "convatlas.tasks",
        "convatlas.tasks.task",
        "convatlas.tasks.answers",
        "convatlas.tasks.trial_data",
        "convatlas.tasks.report_content",
        "convatlas.tasks.classify",
        "convatlas.deploy.predictor",
        "convatlas.metric",
    ],
    "Main job": [
        "convatlas.pipeline.fit",
        "convatlas.pipeline.run",
        "convatlas.pipeline.leaderboard",
        "convatlas.pipeline.config",
    ],
    "Deploy": ["convatlas.deploy.classifier", "convatlas.deploy.onnx_file"],
    "Explain": [
        "convatlas.explain.classes.confusion",
        "convatlas.explain.classes.mistakes",
        "convatlas.explain.weight_change",
    ],
    "Signals": [
        "convatlas.data.audio.mixtures",
        "convatlas.data.audio.enrolled_mixtures",
        "convatlas.train.signal_losses",
        "convatlas.train.distillation",
        "convatlas.train.tasks.separate",
        "convatlas.train.tasks.extract",
        "convatlas.deploy.overlap_add",
        "convatlas.deploy.segment_frames",
    ],
    "Errors and progress": ["convatlas.errors", "convatlas.progress"],
}


def write_generated(folder: Path) -> None:
    """Write every generated page anew; a page that did not change keeps its time stamp."""
    folder.mkdir(exist_ok=True)
    write_changed(folder / "atlas.md", atlas_page())
    write_changed(folder / "claims.md", claims_page())
    write_changed(folder / "overview.md", overview_page())
    write_plotly(folder / "static")
    families = write_families(folder / "families")
    write_changed(folder / "families" / "index.md", _list_of("Families", families))
    for heading, modules in REFERENCE.items():
        write_changed(folder / f"{_slug(heading)}.md", reference_page(heading, modules))
    index = _list_of("Reference", map(_slug, REFERENCE))
    write_changed(folder / "index.md", index + "\nEvery name by letter: {ref}`genindex`.\n")


def atlas_table(networks: Sequence[Indexed] | None = None) -> str:
    """Every registered network as one Markdown table."""
    published = {row.name: row.published for row in rows()}
    lines = ["| network | params | macs | input | published top-1 | paper |", "|---" * 6 + "|"]
    for entry in networks or read_index().values():
        accuracy = published[entry.name]
        shown = f"{accuracy.value:.1%} {accuracy.dataset}" if accuracy else ""
        size = shape_text(entry.input)
        lines.append(
            f"| `{entry.name}` | {format_number(entry.params)} | {format_number(entry.macs)} "
            f"| {size} | {shown} | {entry.short_paper} |"
        )
    return "\n".join(lines)


def family_table() -> str:
    """One line a family, oldest first: how many networks, from what to what they cost."""
    published, known = {row.name: row.published for row in rows()}, read_index()
    lines = []
    for family in family_names():
        own = [known[entry.name] for entry in members(family)]
        accuracies = [published[entry.name] for entry in own]
        cells = (
            f"[{title(family)}](docs/families/{family}.md)",
            str(len(own)),
            _span([entry.params for entry in own]),
            _span([entry.macs for entry in own]),
            _best([accuracy for accuracy in accuracies if accuracy]),
            own[0].short_paper,
        )
        lines.append((own[0].year or 0, "| " + " | ".join(cells) + " |"))
    head = "| family | networks | params | macs | best published top-1 | paper |"
    return "\n".join([head, "|---" * 6 + "|", *(line for _, line in sorted(lines))])


def _span(values: Sequence[int]) -> str:
    low, high = format_number(min(values)), format_number(max(values))
    return low if low == high else f"{low} to {high}"


def _best(accuracies: Sequence[Accuracy]) -> str:
    """On the data set that most is published on."""
    for dataset in ("imagenet", "cifar10", "cifar100", "mnist"):
        values = [a.value for a in accuracies if a.dataset == dataset]
        if values:
            return f"{max(values):.1%} {dataset}"
    return ""


def atlas_page() -> str:
    """The atlas by shelf."""
    parts = ["# The atlas", "Costs are counted, accuracies are as published."]
    by_task = sorted(read_index().values(), key=lambda entry: entry.task)
    for task, entries in groupby(by_task, key=lambda entry: entry.task):
        parts += [f"## {task}", atlas_table(list(entries))]
    return "\n\n".join(parts) + "\n"


def claims_page() -> str:
    """Every published figure beside ours, paper by paper."""
    compared = compare_all(load_claims(), indexed)
    parts = ["# Published figures beside ours"]
    for paper in load_papers():
        own = [row for row in compared if row.claim.paper == paper.key]
        parts += [f"## {paper.title}", _claims_table(own)]
    return "\n\n".join(parts) + "\n"


def _claims_table(compared: Sequence[Row]) -> str:
    lines = ["| network | quantity | published | ours | where | status | why |", "|---" * 7 + "|"]
    for row in compared:
        claim = row.claim
        ours = "" if row.ours is None else f"{row.ours:,}"
        cells = (claim.model, claim.quantity, claim.printed, ours, claim.where, row.status, row.why)
        lines.append("| " + " | ".join(cell(str(text)) for text in cells) + " |")
    return "\n".join(lines)


def reference_page(title: str, modules: Sequence[str]) -> str:
    """The signatures and docstrings of some modules.

    autodoc writes reStructuredText, which a page of Markdown reads only within `eval-rst`.
    """
    parts = [f"# {title}"]
    for module in modules:
        rst = f".. automodule:: {module}\n   :members:"
        parts.append(f"## {module}\n\n```{{eval-rst}}\n{rst}\n```")
    return "\n\n".join(parts) + "\n"


def _list_of(title: str, pages: Iterable[str]) -> str:
    listed = "\n".join(pages)
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"


def _slug(title: str) -> str:
    return title.lower().replace(" ", "_")
