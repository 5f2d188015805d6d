"""What a model's file and class say of themselves, read out of their docstrings."""

import inspect
import re

_HEADING = re.compile(r"^(?P<name>[A-Z][a-z]+):\s*(?P<text>.*)$")
_ARGUMENT = re.compile(r"^ {4}(?P<names>[\w, ]+):\s*(?P<text>.*)$")


def first_line(docstring: str | None) -> str:
    """Return the first line: what it is, in one sentence."""
    return inspect.cleandoc(docstring or "").partition("\n")[0]


def heading(docstring: str | None, name: str) -> str:
    """Return the text under `name:` as one line; empty where there is no such heading."""
    return " ".join(line.strip() for line in _lines(docstring, name)).strip()


def source(docstring: str | None, name: str) -> str:
    """Return the paper of a network: the one that names it in backticks, if there are several."""
    whole = heading(docstring, "Source").rstrip(".")
    own = [paper for paper in whole.split("; ") if f"`{name}`" in paper]
    return own[0].replace(f" (`{name}`)", "") if own else whole


def arguments(docstring: str | None) -> dict[str, str]:
    """Return what the `Args:` of a class say of each option."""
    about: dict[str, str] = {}
    names: list[str] = []
    for line in _lines(docstring, "Args"):
        if match := _ARGUMENT.match(line):
            names = [name.strip() for name in match["names"].split(",")]
            about.update(dict.fromkeys(names, match["text"].strip()))
        else:
            about.update({name: f"{about[name]} {line.strip()}".strip() for name in names})
    return about


def _lines(docstring: str | None, name: str) -> list[str]:
    lines: list[str] = []
    inside = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if match := _HEADING.match(line):
            inside = match["name"] == name
            line = match["text"]
        elif not line.strip():
            inside = False
        if inside:
            lines.append(line)
    return lines
