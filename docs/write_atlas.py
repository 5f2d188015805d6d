"""Write all that follows from the registered networks: `make atlas`.

The index that `list` reads, the README's table, and a page to fill for a family that has none.
"""

import sys
from pathlib import Path
from string import Template

from family_pages import FAMILIES, members
from generate import family_table
from readme_parts import README, replace_part
from torch import nn

from convatlas.atlas import build
from convatlas.atlas.counting import build_on_shapes
from convatlas.atlas.docstring import first_line, heading
from convatlas.models import find_entry, model_names


def files_without_page() -> list[str]:
    """Return the files on the shelf whose networks stand on no page."""
    pages = [path.stem for path in FAMILIES.glob("*.md")]
    shown = {entry.name for family in pages for entry in members(family)}
    entries = [find_entry(name) for name in model_names() if name not in shown]
    return list(dict.fromkeys(e.module.rpartition(".")[2] for e in entries if e.ours))


def write_stub(file: str) -> Path:
    """Lay the page of a family: its title and source are those that its file gives."""
    entries = [find_entry(name) for name in model_names()]
    entry = next(entry for entry in entries if entry.module.rpartition(".")[2] == file)
    words = sys.modules[entry.module].__doc__
    title = first_line(words).partition(":")[0]
    path = FAMILIES / f"{file}.md"
    text = page_stub(entry.name, title, _block_of(entry.name), heading(words, "Source"))
    path.write_text(text, encoding="utf-8")
    return path


def page_stub(name: str, title: str, block: str, source: str) -> str:
    """Return a page whose words are still to be written, each place marked `WRITE:`.

    Args:
        name: of the network whose block the page draws.
        title: its heading.
        block: path of the module that is drawn.
        source: its paper.
    """
    template = (Path(__file__).parent / "new" / "page.txt").read_text(encoding="utf-8")
    return Template(template).substitute(name=name, title=title, block=block, source=source)


def _block_of(name: str) -> str:
    """Return the path of a part to draw: the second stage, or else the first part."""
    model = build_on_shapes(name)
    stages = getattr(model, "stages", None)
    parts = stages if isinstance(stages, nn.Sequential) else model
    paths = [path for path, _ in parts.named_children()]
    return f"stages.{paths[min(1, len(paths) - 1)]}" if parts is stages else paths[0]


def main() -> None:
    """Write the three and say what was written."""
    build.main()
    for file in files_without_page():
        path = write_stub(file)
        print(f"{path.name}: to be written, its places are marked WRITE:")
    replace_part(README, "atlas", family_table())
    print(f"{README.name}: the table of the atlas")


if __name__ == "__main__":
    main()
