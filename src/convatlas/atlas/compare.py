"""Published figures beside ours: holds, differs (why), not checked (why)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from convatlas.atlas.index import read_index
from convatlas.claims.claim import Claim
from convatlas.errors import ConvatlasError

HOLDS, DIFFERS, NOT_CHECKED, CHANGED = "holds", "differs", "not_checked", "changed"
STATUSES = (HOLDS, DIFFERS, NOT_CHECKED, CHANGED)
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Figures:
    """What a counted row needs to know of a network."""

    params: int
    macs: int

    @property
    def file_bytes(self) -> int:
        """The weights as float32, without the few bytes of a file's head."""
        return FLOAT32_BYTES * self.params


@dataclass(frozen=True)
class Row:
    """One published figure and what became of it.

    `changed` means that the count is neither the published figure nor the recorded other one: the
    network or the counting is no longer what it was.
    """

    claim: Claim
    ours: int | None
    status: str
    why: str

    @property
    def tolerance(self) -> float | None:
        """By how much `ours` may miss the published figure, in its unit; None if not checked."""
        return None if self.ours is None else self.claim.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `claims --json`."""
        claim = self.claim
        return {
            "model": claim.model,
            "options": dict(claim.options),
            "input": None if claim.input is None else list(claim.input),
            "dataset": claim.dataset,
            "setting": claim.setting,
            "quantity": claim.quantity,
            "printed": claim.printed,
            "published": claim.value,
            "ours": self.ours,
            "tolerance": self.tolerance,
            "unit": claim.unit,
            "paper": claim.paper,
            "where": claim.where,
            "source": claim.source,
            "check": claim.check,
            "status": self.status,
            "why": self.why,
        }


def counted(claim: Claim) -> Figures:
    """Build the network that a row speaks of and count it, now."""
    return _count(claim.model, tuple(sorted(claim.options.items())), claim.input)


@cache
def _count(model: str, options: tuple[tuple[str, Any], ...], input: tuple[int, ...]) -> Figures:
    from convatlas.atlas.counting import count_named  # here, because it brings torch

    cost = count_named(model, dict(options), input)
    return Figures(cost.params, cost.macs)


def indexed(claim: Claim) -> Figures:
    """Read the same from the index where it has it; a test holds the index to the counts."""
    entry = read_index().get(claim.model)
    if entry is not None and not claim.options and entry.input == claim.input:
        return Figures(entry.params, entry.macs)
    return counted(claim)


def compare(claim: Claim, figures: Callable[[Claim], Figures] = counted) -> Row:
    """Hold one published figure against our count.

    Args:
        claim: the published figure.
        figures: where the count comes from, `counted` or `indexed`.
    """
    if claim.check != "count" or claim.unchecked is not None:
        return Row(
            claim, None, NOT_CHECKED, claim.unchecked or f"needs training on {claim.dataset}"
        )
    try:
        ours = getattr(figures(claim), claim.quantity)
    except ConvatlasError as error:
        return Row(claim, None, CHANGED, str(error))
    return Row(claim, ours, *_verdict(claim, ours))


def _verdict(claim: Claim, ours: int) -> tuple[str, str]:
    if claim.counted is None or claim.differs is None:
        if claim.admits(ours):
            return HOLDS, ""
        return CHANGED, f"counted {ours:,}, published {claim.printed}, and no reason is recorded"
    if ours == claim.counted:
        return DIFFERS, claim.differs
    now = "the published figure" if claim.admits(ours) else f"{ours:,}"
    return CHANGED, f"recorded as differing with {claim.counted:,}, now {now}: {claim.differs}"


def compare_all(
    claims: Iterable[Claim], figures: Callable[[Claim], Figures] = counted
) -> tuple[Row, ...]:
    """Compare each row, in order."""
    return tuple(compare(claim, figures) for claim in claims)


def summarise(rows: Iterable[Row]) -> Mapping[str, int]:
    """Count the rows of each status; one that no row has counts 0."""
    found = Counter(row.status for row in rows)
    return {status: found[status] for status in STATUSES}
