"""Lay the files of a new network: `make new NETWORK=my_net`, or `NETWORK="my_net MyNet"`.

A small network that works stands in them; `WRITE:` marks what is to be replaced, and a test fails
while such a mark is left.
"""

import re
import sys
from datetime import date
from pathlib import Path
from string import Template

from write_atlas import page_stub

from convatlas.models import model_names

ROOT = Path(__file__).parents[1]
TEMPLATES = Path(__file__).with_name("new")
FILES = {
    "model": "src/convatlas/models/classify/{}.py",
    "test": "tests/models/classify/test_{}.py",
    "claims": "src/convatlas/claims/{}.toml",
    "page": "docs/families/{}.md",
}


def new_network(name: str, cls: str | None = None, root: Path = ROOT) -> list[Path]:
    """Write the four files of a network and return their paths.

    Args:
        name: as it will be registered, in snake case.
        cls: its class, as the paper spells it; without one, the name in camel case.
        root: the checkout.

    Raises:
        ValueError: a name that is none or is taken, or a file that exists; nothing is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"new: the name must be in snake case, got {name!r}")
    if name in model_names():
        raise ValueError(f"new: a network '{name}' exists")
    cls = cls or "".join(part.capitalize() for part in name.split("_"))
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", cls):
        raise ValueError(f"new: the class must be in camel case, got {cls!r}")
    paths = {kind: root / place.format(name) for kind, place in FILES.items()}
    taken = [str(path.relative_to(root)) for path in paths.values() if path.exists()]
    if taken:
        raise ValueError(f"new: {', '.join(taken)} exists; nothing was written")
    values = {"name": name, "cls": cls, "year": date.today().year}
    texts = {kind: Template(_template(kind)).substitute(values) for kind in FILES if kind != "page"}
    texts["page"] = page_stub(name, cls, "stages.1", "WRITE: authors, title, place and year.")
    for kind, path in paths.items():
        path.write_text(texts[kind], encoding="utf-8")
    return list(paths.values())


def _template(kind: str) -> str:
    return (TEMPLATES / f"{kind}.txt").read_text(encoding="utf-8")


def main(words: list[str]) -> int:
    """Lay the files, or say in one line why not."""
    if not 1 <= len(words) <= 2:
        print("new: say which, e.g. make new NETWORK=convnext", file=sys.stderr)
        return 2
    try:
        paths = new_network(*words)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path in paths:
        print(path.relative_to(ROOT))
    print("Replace what WRITE: marks, then run `make atlas` and `make test`.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
