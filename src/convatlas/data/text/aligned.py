"""Aligned files: `train.en` and `train.sv`, a sentence a line, line by line in both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.sources.split_names import split_named
from convatlas.data.text.columns import SOURCE, TARGET, is_language
from convatlas.data.text.read_lines import bare_stem, bare_suffix
from convatlas.errors import DataError


@dataclass(frozen=True)
class Aligned:
    """Two files whose lines belong together.

    Args:
        split: that they are; None where their name does not say it.
    """

    source: Path
    target: Path
    split: str | None


def holds_aligned(path: Path) -> bool:
    """Return whether a folder holds aligned files, or a file has a mate of another language."""
    if path.is_dir():
        return any(len(files) > 1 for files in _by_stem(path).values())
    if not is_language(bare_suffix(path)[1:]) or not path.is_file():
        return False
    return len(_by_stem(path.parent).get(bare_stem(path), {})) > 1


def find_aligned(path: Path, options: Mapping[str, Any]) -> list[Aligned]:
    """Return the aligned files that a path means.

    Args:
        path: a folder, or one file of the source language whose mate lies beside it.
        options: `source` and `target`, suffixes where more than two languages are there.

    Raises:
        DataError: a mate is missing, or it is not clear which languages are meant.
    """
    place = printable(path)
    folder = path if path.is_dir() else path.parent
    named = [str(options[field]) for field in (SOURCE, TARGET) if options.get(field) is not None]
    groups = _by_stem(folder, also=named)
    if not path.is_dir():
        groups = {bare_stem(path): groups.get(bare_stem(path), {})}
    here = sorted({suffix for files in groups.values() if len(files) > 1 for suffix in files})
    source = options.get(SOURCE) or (None if path.is_dir() else bare_suffix(path)[1:])
    languages = [source, options.get(TARGET)]
    rest = [each for each in here if each not in languages]
    if languages.count(None) and len(rest) == languages.count(None):
        languages = [each if each is not None else rest.pop(0) for each in languages]
    if None in languages:
        raise DataError(
            f"{place}: --set source= and --set target= must say which files belong together, such "
            f"as --set source=en --set target=sv for train.en and train.sv; there are "
            f"{printable_few(here, 8) if here else 'none'}"
        )
    return _pairs(groups, str(languages[0]), str(languages[1]), place)


def _pairs(
    groups: Mapping[str, Mapping[str, Path]], source: str, target: str, place: str
) -> list[Aligned]:
    found = []
    for stem, files in sorted(groups.items()):
        if source in files and target in files:
            found.append(Aligned(files[source], files[target], _split_of(stem)))
        elif source in files or target in files:
            lone, other = (source, target) if source in files else (target, source)
            raise DataError(
                f"{printable(files[lone])}: must have a file {printable(stem)}.{printable(other)} "
                "beside it, a line for each of its lines"
            )
    if not found:
        raise DataError(f"{place}: holds no files *.{printable(source)} and *.{printable(target)}")
    unnamed = [pair for pair in found if pair.split is None]
    if unnamed and len(unnamed) < len(found):
        raise DataError(
            f"{printable(unnamed[0].source)}: its name must say whether it is train, val or test, "
            "as those of the other files do"
        )
    return found


def _split_of(stem: str) -> str | None:
    """Return the split that a stem names, alone or as its first word: `test_2016_flickr`."""
    first = stem.replace(".", "_").replace("-", "_").split("_")[0]
    return split_named(stem) or split_named(first)


def _by_stem(folder: Path, also: list[str] | None = None) -> dict[str, dict[str, Path]]:
    """Return the files of a folder by stem and language."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        language = bare_suffix(path)[1:]
        if path.is_file() and (is_language(language) or language in (also or ())):
            found.setdefault(bare_stem(path), {})[language] = path
    return found
