"""The states of a `fit` on disk: what each of its trials has reached, written after its turns.

A state holds the weights of the trials whose turns came after the state before, and names the
states that hold the others'. Weights lie in safetensors, the rest in JSON; nothing of it runs.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from convatlas.errors import DataError, WriteError
from convatlas.pipeline.config import CHECKPOINTS, Trial
from convatlas.pipeline.job_file import UNREADABLE
from convatlas.text import printable
from convatlas.train.checkpoint import (
    UNFINISHED,
    DamagedCheckpoint,
    read_checkpoint,
    write_checkpoint,
)
from convatlas.train.checkpoints import MAX_COST, Checkpoints, Pace, complete_checkpoints
from convatlas.train.recipe import Recipe

T = TypeVar("T")
TRIALS = "trials"  # in the folder of checkpoints
EXPECTED_S = 0.05  # that a small state takes to write, before it was measured
BYTES_PER_S = 2e8  # that are written, with their checksums
MAX_CHECKPOINTS = 4  # of a turn: the last two, that of the best validation, one that is written
COPIES = 5  # of the weights in a checkpoint: network, average, best, two of the optimizer


@dataclass(frozen=True)
class Turn:
    """A turn that is over: of which trial, its line after it, and the recipe of the turn."""

    trial: int
    record: Trial
    recipe: Recipe | None


@dataclass
class FitState:
    """Where a `fit` stands.

    Args:
        plan: what was decided before the first turn, for JSON.
        spent_s: seconds that the job has taken.
        turns: that are over, in their order.
        places: the state that holds the weights of a trial, for each trial that may go on.
        log: rows of the final training.
    """

    plan: dict[str, Any]
    spent_s: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    places: dict[int, str] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        turns = [
            {
                "trial": turn.trial,
                "record": turn.record.model_dump(),
                "recipe": None if turn.recipe is None else turn.recipe.to_dict(),
            }
            for turn in self.turns
        ]
        places = {str(trial): place for trial, place in self.places.items()}
        rest = {"plan": self.plan, "spent_s": self.spent_s, "log": self.log}
        return {**rest, "turns": turns, "places": places}

    def going_on(self, trials: list[T]) -> list[T]:
        """Return those of the trials that have not dropped out, or failed."""
        had_turns = {turn.trial for turn in self.turns}
        return [
            trial
            for number, trial in enumerate(trials)
            if number in self.places or number not in had_turns
        ]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "FitState":
        """Return the state that `values` gave."""
        turns = [
            Turn(
                turn["trial"],
                Trial.model_validate(turn["record"]),
                None if turn["recipe"] is None else Recipe.from_dict(turn["recipe"]),
            )
            for turn in values["turns"]
        ]
        places = {int(trial): place for trial, place in values["places"].items()}
        return cls(values["plan"], values["spent_s"], turns, places, values["log"])


class FitStates:
    """Writes the states of a `fit` and finds the newest one.

    Args:
        folder: of checkpoints of the run.
        say: takes one finished sentence, where one cannot be written or read.
        found: the newest one, where there is one already.
        max_cost: of the time may go into writing them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None] = lambda text: None,
        found: FitState | None = None,
        max_cost: float = MAX_COST,
    ):
        self.folder, self._say, self._max_cost = folder / TRIALS, say, max_cost
        self._pace, self._failed = Pace(max_cost, EXPECTED_S), False
        # Folders that the newest needs: they stay until there are two newer ones.
        self._needed = set() if found is None else _needed(found)

    def due(self) -> bool:
        """Return whether writing one now would take a small share of the time only."""
        return self._pace.allows()

    def newest(self) -> FitState | None:
        """Read the newest that is whole with all that it needs; None where there is none.

        Raises:
            DataError: another version of this package wrote it.
        """
        for path in sorted(complete_checkpoints(self.folder), reverse=True):
            try:
                state = FitState.of(read_checkpoint(path).values)
                for place in {*state.places.values()} - {path.name}:
                    read_checkpoint(self.folder / place)
            except DamagedCheckpoint as error:
                self._say(f"warning: {error}; the state before it is taken")
            except UNREADABLE as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{printable(path)}: cannot be read ({error})") from None
            else:
                return state
        return None

    def weights(self, state: FitState, trial: int) -> dict[str, Tensor]:
        """Return the weights of a trial that has a place in a state."""
        return read_checkpoint(self.folder / state.places[trial]).part(str(trial))

    def save(self, state: FitState, fresh: Mapping[int, Mapping[str, Tensor]]) -> bool:
        """Write a state and let go of older ones; return whether that went well.

        If it does not, that is said once, and the older ones stay.

        Args:
            fresh: weights of the trials that had turns since the last one, by their numbers.
        """
        start, name = time.perf_counter(), _name(len(state.turns))
        places = dict(state.places)
        state.places.update(dict.fromkeys(fresh, name))
        tensors = {f"{trial}/{key}": t for trial, own in fresh.items() for key, t in own.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_checkpoint(self.folder / name, tensors, state.values())
            self._let_go(state)
        except (WriteError, OSError) as error:
            state.places = places
            if not self._failed:
                self._say(f"warning: the state of the trials is not written: {error}")
            self._failed = True
        else:
            self._failed = False
        self._pace.wrote(start)
        return not self._failed

    def within_turn(
        self, number: int, weight_bytes: float = 0.0, before: Callable[[], None] = lambda: None
    ) -> Checkpoints:
        """Return the checkpoints of a turn, by the number of turns before it.

        Args:
            before: is called before each is written.
        """
        return _TurnCheckpoints(
            self.folder / _turn(number),
            before,
            max_cost=self._max_cost,
            say=self._say,
            expected_s=EXPECTED_S + COPIES * weight_bytes / BYTES_PER_S,
        )

    def forget_turns(self, but: int) -> None:
        """Let go of what is there of turns, but that of one number."""
        for path in self.folder.glob("turn-*"):
            if path.name != _turn(but):
                shutil.rmtree(path, ignore_errors=True)

    def _let_go(self, state: FitState) -> None:
        needed = _needed(state)
        kept = needed | self._needed
        for path in complete_checkpoints(self.folder):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{UNFINISHED}*"):  # of a process that was killed
            shutil.rmtree(path, ignore_errors=True)
        self.forget_turns(but=len(state.turns))
        self._needed = needed


class _TurnCheckpoints(Checkpoints):
    """Checkpoints that need the state of before their turn."""

    def __init__(self, folder: Path, before: Callable[[], None], **options: Any):
        super().__init__(folder, **options)
        self._before = before

    def save(
        self, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any], *, best: bool
    ) -> bool:
        """Write the state of before the turn if it is not there, then the checkpoint."""
        self._before()
        return super().save(step, tensors, values, best=best)


def has_states(folder: Path) -> bool:
    """Return whether a run, or a folder that one is built in, has a state of its trials."""
    return bool(complete_checkpoints(folder / CHECKPOINTS / TRIALS))


def _needed(state: FitState) -> set[str]:
    return {_name(len(state.turns)), *state.places.values()}


def _name(turns: int) -> str:
    return f"step-{turns:09d}"


def _turn(number: int) -> str:
    return f"turn-{number:09d}"
