"""Opened texts of any kind: their splits, and what was found before training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel

from convatlas.data.names import stored_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.text.divide import digest
from convatlas.data.text.read_lines import bare_stem
from convatlas.data.text.stored_examples import ExampleSplit, save_examples

S = TypeVar("S", bound=ExampleSplit)
F = TypeVar("F", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class OpenedExamples(Generic[S, F]):
    """Everything the main job needs to know of texts with their answers.

    Args:
        name: short, for titles.
        source: absolute path, in its stored form.
        seed: of the split.
        splits: under `train`, `val` and `test`.
        scan: what was found before training.
        facts_: what network and predictor have to know.
        options: that the data were opened with, for opening them again.
    """

    stored_as: ClassVar[str]  # the kind of data, in the file of splits

    name: str
    source: str
    seed: int
    splits: dict[str, S]
    scan: ScanReport
    facts_: F
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at(
        cls,
        path: Path,
        seed: int,
        splits: dict[str, S],
        scan: ScanReport,
        facts: F,
        options: Mapping[str, Any],
    ) -> Self:
        """Return the data of a file or folder."""
        name = path.name if path.is_dir() else bare_stem(path)
        return cls(name, stored_name(path.resolve()), seed, splits, scan, facts, dict(options))

    @property
    def digests(self) -> Mapping[str, str]:
        """What each example is known by: its first text."""
        return self._digests

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {e.place: digest(e.fields[0]) for s in self.splits.values() for e in s.examples}

    def facts(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        return self.facts_.model_dump(mode="json")

    def save(self, path: Path) -> None:
        """Write what opens exactly these splits again as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        save_examples(path, self.stored_as, self)
