"""What became of a candidate, told apart by shape as well as by colour."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convatlas.job.config import Contender


@dataclass(frozen=True)
class Fate:
    """One kind of end and its mark: `symbol` in plotly's words, `marker` in matplotlib's."""

    words: str
    colour: str  # of a middle tone, so that it can be seen on a light and on a dark page
    symbol: str
    marker: str
    hollow: bool = False


CHOSEN = Fate("chosen", "#d97706", "star", "*")
TRAINED = Fate("trained to the last rounds", "#3a86c8", "circle", "o")
DROPPED = Fate("dropped early", "#8b7fc7", "triangle-down", "v")
OVER = Fate("over budget", "#d1495b", "x-thin-open", "x", hollow=True)
LEFT_OUT = Fate("not trained", "#8b929c", "diamond-open", "D", hollow=True)
FATES = (LEFT_OUT, OVER, DROPPED, TRAINED, CHOSEN)  # later ones are drawn over earlier ones


@dataclass(frozen=True)
class Quantity:
    """A cost that a picture or table can show: a field of `Contender` and of `Budget`."""

    name: str
    words: str
    unit: str


QUANTITIES = (
    Quantity("macs", "multiply-adds", ""),
    Quantity("params", "parameters", ""),
    Quantity("latency_s", "latency", "s"),
    Quantity("file_bytes", "file size", "bytes"),
)


def quantity_named(name: str) -> Quantity:
    """The quantity of that name; a KeyError for none."""
    return {quantity.name: quantity for quantity in QUANTITIES}[name]


def fate_of(contender: Contender) -> Fate:
    """By what its line of the leaderboard says."""
    if contender.status == "chosen":
        return CHOSEN
    if contender.status == "over budget":
        return OVER
    if contender.accuracy is None:
        return LEFT_OUT
    return DROPPED if contender.status.startswith("dropped") else TRAINED


def by_fate(
    leaderboard: Iterable[Contender], keep: Callable[[Contender], bool]
) -> list[tuple[Fate, list[Contender]]]:
    """The contenders to keep, under their fates; a fate that nobody met is left out."""
    kept = [contender for contender in leaderboard if keep(contender)]
    groups = [(fate, [c for c in kept if fate_of(c) is fate]) for fate in FATES]
    return [(fate, members) for fate, members in groups if members]


def settings(contender: Contender) -> str:
    """Input size and options in a few words: `32 px, width 0.5`."""
    options = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in contender.options.items()
        if (name, value) != ("size", contender.size)  # said already
    ]
    return ", ".join([f"{contender.size} px", *options])
