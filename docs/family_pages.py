"""The page of each family: the words of `families/NAME.md`, with what code and claims know."""

import re
from collections.abc import Sequence
from pathlib import Path

from block_graph import block_graph
from draw_graph import draw

from convatlas.atlas.compare import Row, compare_all, indexed
from convatlas.atlas.counting import index_entry
from convatlas.atlas.docstring import arguments
from convatlas.atlas.index import read_index
from convatlas.claims.loader import load_claims
from convatlas.models import find_entry, model_names
from convatlas.models.registry import Entry
from convatlas.text import shape_text

FAMILIES = Path(__file__).parent / "families"
BLOCK = re.compile(r"^<!-- block: (\S+) (\S+)((?: \w+=\d+)*) -->\n", re.MULTILINE)
COUNTED = ("params", "macs")


def family_names() -> list[str]:
    """The families that have a page, by title."""
    return sorted((path.stem for path in FAMILIES.glob("*.md")), key=lambda n: title(n).lower())


def title(family: str) -> str:
    """The heading of its page."""
    return (FAMILIES / f"{family}.md").read_text("utf-8").partition("\n")[0].removeprefix("# ")


def members(family: str) -> list[Entry]:
    """The registered networks of the file of this name, and of `NAME_*` without a page."""
    pages = {path.stem for path in FAMILIES.glob("*.md")}
    entries = []
    for entry in map(find_entry, model_names()):
        file = entry.module.rsplit(".", 1)[1]
        if file == family or (file.startswith(f"{family}_") and file not in pages):
            entries.append(entry)
    return entries


def family_page(family: str) -> str:
    """The whole page; its picture is `family_picture`, beside it as NAME.svg."""
    words = (FAMILIES / f"{family}.md").read_text("utf-8")
    network, path, _ = block_of(words)
    drawing = (
        f"![`{path}` of {network}]({family}.svg)\n\n*`{path}` of `{network}`, drawn from the "
        "module itself; below each step its output: channels, then height and width or steps of "
        "time.*\n"
    )
    head, use, tail = BLOCK.sub("", words).partition("## When to choose it")
    body, source, last = (use + tail).partition("\nSource:")
    return "\n".join(
        [
            head.rstrip() + "\n",
            drawing,
            body.rstrip() + "\n",
            "## Networks\n\n" + networks_table(members(family)) + "\n",
            "## Every option\n\n" + options_table(members(family)) + "\n",
            "## Published beside counted\n\n" + figures(family),
            (source + last).lstrip(),
        ]
    )


def block_of(words: str) -> tuple[str, str, dict[str, int]]:
    """The network and the path that a page wants drawn, and the options of the network.

    Raises:
        ValueError: the page does not say.
    """
    found = BLOCK.search(words)
    if found is None:
        raise ValueError("a family's page must have a line <!-- block: NETWORK PATH -->")
    options = (word.split("=") for word in found[3].split())
    return found[1], found[2], {name: int(value) for name, value in options}


def family_picture(family: str) -> str:
    """The family's block as SVG."""
    network, path, options = block_of((FAMILIES / f"{family}.md").read_text("utf-8"))
    return draw(block_graph(network, path, options), f"{path} of {network}")


def networks_table(entries: Sequence[Entry]) -> str:
    """Counted costs of each name at its published input."""
    lines = ["| network | params | macs | input |", "|---|--:|--:|---|"]
    known = read_index()
    for entry in entries:
        row = known.get(entry.name) or index_entry(entry)
        size = shape_text(row.input)
        lines.append(f"| `{entry.name}` | {row.params:,} | {row.macs:,} | {size} |")
    return "\n".join(lines)


def options_table(entries: Sequence[Entry]) -> str:
    """What each keyword of `create_model` does, class by class."""
    parts = []
    classes = list(dict.fromkeys(entry.cls for entry in entries))
    for cls in classes:
        about = arguments(cls.__doc__)
        entry = next(e for e in entries if e.cls is cls)
        rows = [
            f"| `{k}` | `{v!r}` | {cell(about.get(k, ''))} |" for k, v in entry.defaults.items()
        ]
        head = [f"`{entry.name}` and its kin (`{cls.__name__}`):\n"] if len(classes) > 1 else []
        parts.append("\n".join([*head, "| option | default | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def figures(family: str) -> str:
    """Published costs with our count and the difference, then published results."""
    names = {entry.name for entry in members(family)}
    own = [row for row in compare_all(load_claims(), indexed) if row.claim.model in names]
    costs = [row for row in own if row.claim.quantity in COUNTED]
    results = [row for row in own if row.claim.quantity not in COUNTED]
    parts = [_costs(costs)] if costs else ["No cost of these networks is published.\n"]
    if results:
        parts.append("### Published results\n\n" + _results(results))
    return "\n".join(parts)


def _costs(rows: Sequence[Row]) -> str:
    head = "| network | | published | counted | difference | | where |"
    lines = [head, "|---|---|--:|--:|--:|---|---|"]
    for row in rows:
        claim = row.claim
        ours, difference = "", ""
        if row.ours is not None:
            ours, difference = f"{row.ours:,}", f"{100 * (row.ours / claim.value - 1):+.2f} %"
        status = row.status.replace("_", " ") + (f": {cell(row.why)}" if row.why else "")
        lines.append(
            f"| `{claim.model}`{_setting(row)} | {claim.quantity} | {cell(claim.printed)} | {ours} "
            f"| {difference} | {status} | {cell(claim.where)} |"
        )
    return "\n".join(lines) + "\n"


def _results(rows: Sequence[Row]) -> str:
    lines = ["| network | dataset | quantity | published | where |", "|---|---|---|--:|---|"]
    for row in rows:
        claim = row.claim
        lines.append(
            f"| `{claim.model}`{_setting(row)} | {claim.dataset or ''} "
            f"| {claim.quantity.replace('_', ' ')} | {cell(claim.printed)} | {cell(claim.where)} |"
        )
    return "\n".join(lines) + "\n"


def _setting(row: Row) -> str:
    options = [f"{name}={value}" for name, value in row.claim.options.items()]
    words = ", ".join([*options, *([row.claim.setting] if row.claim.setting else [])])
    return f" ({cell(words)})" if words else ""


def cell(text: str) -> str:
    """Text that a table of Markdown can hold."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def write_families(folder: Path) -> list[str]:
    """Write every page and picture; the names of the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    names = family_names()
    for name in names:
        write_changed(folder / f"{name}.md", family_page(name))
        write_changed(folder / f"{name}.svg", family_picture(name))
    return names


def write_changed(path: Path, text: str) -> None:
    """Write a file, but leave one that does not change with its time stamp."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
