"""What became of a candidate, told apart by shape as well as by colour."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convatlas.pipeline.config import Trial


@dataclass(frozen=True)
class Outcome:
    """One kind of end and its mark: `symbol` in plotly's words, `marker` in matplotlib's."""

    words: str
    colour: str  # of a middle tone, so that it can be seen on a light and on a dark page
    symbol: str
    marker: str
    hollow: bool = False


CHOSEN = Outcome("chosen", "#d97706", "star", "*")
TRAINED = Outcome("trained to the last rounds", "#3a86c8", "circle", "o")
DROPPED = Outcome("dropped early", "#8b7fc7", "triangle-down", "v")
OVER = Outcome("over budget", "#d1495b", "x-thin-open", "x", hollow=True)
LEFT_OUT = Outcome("not trained", "#8b929c", "diamond-open", "D", hollow=True)
OUTCOMES = (LEFT_OUT, OVER, DROPPED, TRAINED, CHOSEN)  # later ones are drawn over earlier ones


@dataclass(frozen=True)
class Quantity:
    """A cost that a picture or table can show: a field of `Trial` and of `Budget`."""

    name: str
    words: str
    unit: str


QUANTITIES = (
    Quantity("macs", "multiply-adds", ""),
    Quantity("params", "parameters", ""),
    Quantity("latency_s", "latency", "s"),
    Quantity("file_bytes", "file size", "bytes"),
    Quantity("memory_bytes", "memory", "bytes"),
)


def quantity_named(name: str) -> Quantity:
    """Return the quantity of that name; a KeyError for none."""
    return {quantity.name: quantity for quantity in QUANTITIES}[name]


def outcome_of(trial: Trial) -> Outcome:
    """Return what became of a trial, by its line of the leaderboard."""
    if trial.status == "chosen":
        return CHOSEN
    if trial.status == "over budget":
        return OVER
    if not trial.figures:
        return LEFT_OUT
    return DROPPED if trial.status.startswith("dropped") else TRAINED


def by_outcome(
    leaderboard: Iterable[Trial], keep: Callable[[Trial], bool]
) -> list[tuple[Outcome, list[Trial]]]:
    """Return the trials to keep, under their outcomes; outcomes that none met are left out."""
    kept = [trial for trial in leaderboard if keep(trial)]
    groups = [(outcome, [c for c in kept if outcome_of(c) is outcome]) for outcome in OUTCOMES]
    return [(outcome, members) for outcome, members in groups if members]


def settings(trial: Trial) -> str:
    """Return the form of the input and the options in a few words: `32 px, width 0.5`."""
    options = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in trial.options.items()
        if (name, value) not in trial.example.items()  # said already
    ]
    return ", ".join([trial.input, *options])
