"""One published figure as data, and what must hold of it before anything reads it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

CHECKS = ("count", "measure", "train")
COUNTED = ("params", "macs", "file_bytes")
SOURCES = {
    "T": "read in a stored text of the paper or its authors' repository",
    "P": "known from the paper, not re-read here",
}
_UNITS = {"percent": "%", "s": "s", "bytes": "bytes", "db": "dB", "mph": "mph", "nats": "nats"}
_QUANTITY = (
    r"params|macs|pesq|iou|dice|bleu|log_perplexity|bits_per_(dim|byte|char)"
    r"|\w+_(percent|s|bytes|db|factor|error|mph|nats)"
)
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Paper:
    """Where a file's figures come from; `key` is the name of the file."""

    key: str
    title: str
    authors: str
    year: int
    family: str
    arxiv: str | None = None


@dataclass(frozen=True)
class Claim:
    """One published figure.

    Args:
        paper: the file that prints or quotes it.
        model: registered name, or the paper's own name of a variant that is not built here.
        quantity: `params`, `macs`, or a name that ends in its unit: `_percent`, `_s`, `_bytes`,
            `_db`, `_mph`, `_nats`, or `_factor` of a bare quotient; `iou`, `dice` and names in
            `_error` are shares from 0 to 1; `pesq`, `bleu`, `log_perplexity`, `bits_per_dim`,
            `_byte` and `_char` are scales of their own.
        printed: as the paper prints it.
        value: the same in plain numbers, seconds, bytes or percent.
        where: table, figure or section.
        check: `count` (every run), `measure` (on a device) or `train`.
        source: `T` read in a stored text, `P` known from the paper and not re-read.
        options: over those of the registered name.
        input: shape without the batch.
        dataset: what an accuracy was measured on.
        setting: how, where it is not the plain way: `10-crop`, `with distortions`.
        within: relative tolerance; half a unit of the last printed digit where not given.
        differs: why our count is another; it goes with `counted`.
        counted: our count, exactly, so that a change in either direction is seen.
        unchecked: why nothing of ours stands beside the figure.
        note: why `value` is not what `printed` says at face value.
    """

    paper: str
    model: str
    quantity: str
    printed: str
    value: float
    where: str
    check: str
    source: str
    options: Mapping[str, Any] = field(default_factory=lambda: _NO_OPTIONS)
    input: tuple[int, ...] | None = None
    dataset: str | None = None
    setting: str | None = None
    within: float = 0.0
    differs: str | None = None
    counted: int | None = None
    unchecked: str | None = None
    note: str | None = None

    @property
    def unit(self) -> str:
        """`%`, `s`, `bytes`, `dB`, or nothing for a bare count."""
        return _UNITS.get(self.quantity.rpartition("_")[2], "")

    @property
    def tolerance(self) -> float:
        """By how much a count may miss `value` and still hold, in the figure's own unit."""
        return self.value * self.within

    def admits(self, counted: float) -> bool:
        """Say whether a count is the published figure up to its rounding."""
        return abs(counted - self.value) <= self.tolerance * (1 + 1e-9)


def contradictions(claim: Claim, face_value: float) -> Iterable[str]:
    """Yield what must hold and does not, in the order in which a reader would correct it."""
    if claim.check not in CHECKS:
        yield f"check must be one of {', '.join(CHECKS)}, got '{claim.check}'"
    if claim.source not in SOURCES:
        yield f"source must be one of {', '.join(SOURCES)}, got '{claim.source}'"
    if not re.fullmatch(_QUANTITY, claim.quantity):
        yield f"quantity must be params, macs or end in its unit, got '{claim.quantity}'"
    if claim.note is None and abs(face_value - claim.value) > 1e-9 * abs(face_value):
        yield f"value must be what is printed or have a note, got {claim.value} of {claim.printed}"
    if (claim.differs is None) != (claim.counted is None):
        yield "differs and counted must stand together"
    if claim.check != "count":
        yield from _contradictions_uncounted(claim)
        return
    if claim.quantity not in COUNTED:
        yield f"only {', '.join(COUNTED)} can have check = count, got {claim.quantity}"
    if claim.input is None and claim.unchecked is None:
        yield "a counted row must have an input, as [channels, height, width]"
    if claim.counted is not None and claim.unchecked is not None:
        yield "a row must be counted or unchecked, got both"
    if claim.counted is not None and claim.admits(claim.counted):
        yield f"counted must be off the published figure where a row differs, got {claim.counted}"


def _contradictions_uncounted(claim: Claim) -> Iterable[str]:
    if claim.counted is not None:
        yield f"only a row with check = count can differ, got check = {claim.check}"
    if claim.check == "train" and claim.dataset is None:
        yield "a trained figure must have a dataset"
    if claim.check == "measure" and claim.unchecked is None:
        yield "a measured figure must say in unchecked why it is not measured here"
