"""The turns of trials as they are noted on disk: those that are there are not taken again."""

from collections.abc import Callable, Mapping

from torch import Tensor

from convatlas.errors import DataError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.fit_states import FitState, FitStates, Turn
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.log import RunLog


class Turns:
    """The turns of a contest, each noted once it is over.

    Args:
        states: where they are noted.
        state: where the contest stands: at its beginning, or where it was interrupted.
        trials: in the order that the contest begins with.
        runner: that trains them.
        spent: returns the seconds that the job has taken.
        left_s: where the contest was interrupted, and only there: seconds that are left for its
            turns.
    """

    def __init__(
        self,
        states: FitStates,
        state: FitState,
        trials: list[LiveTrial],
        runner: TrialRunner,
        spent: Callable[[], float],
        *,
        left_s: float | None = None,
    ):
        self.resumed, self._left_s = left_s is not None, left_s or 0.0
        self._stretch: float | None = None
        self.states, self.state, self.runner = states, state, runner
        self._numbers = {id(trial): number for number, trial in enumerate(trials)}
        self._spent, self._coming = spent, 0  # the number of the turn that comes now
        self._before = self._noted = len(state.turns)  # turns that a state on disk holds
        self._fresh: dict[int, Mapping[str, Tensor]] = {}  # weights that none holds yet
        self._closed = False  # a stop was asked for: the state stays as it is

    def was_taken(self, trial: LiveTrial, title: str, log: RunLog | None) -> bool:
        """Return whether the turn that comes now was over before; if so, what it reached is there.

        Args:
            title: of the turn, which is said where it is the first that was not over.
            log: of the final training, if this is it.
        """
        if self._coming < self._before:
            self._take(self.state.turns[self._coming], trial, log)
            self._coming += 1
            if log is not None:
                self.runner.progress.say("all training was over; what follows it is done now")
            return True
        if self.resumed and self._coming == self._before and not self._closed:
            self.runner.progress.say(self._found(title))
        return False

    def checkpoints(self, trial: LiveTrial) -> Checkpoints | None:
        """Return where the turn that comes now writes its checkpoints, or goes on from one.

        None after one that was interrupted, which goes on first.
        """
        if self._closed:
            return None
        cost = trial.counted.cost
        weight_bytes = 0 if cost is None else cost.weight_bytes
        return self.states.within_turn(self._coming, weight_bytes, self.note)

    def stretch(self, planned_s: float) -> float:
        """Return how much longer or shorter turns are than planned; 1 for a new contest.

        Args:
            planned_s: for the turns that were not over before.
        """
        if self._stretch is None:
            self._stretch = self._left_s / planned_s if self.resumed else 1.0
        return self._stretch

    def over(self, trial: LiveTrial, log: RunLog | None, *, interrupted: bool) -> None:
        """Take into account that a turn is over; nothing more is noted once one was interrupted."""
        if interrupted or self._closed:
            self.note()
            self._closed = True
            return
        number = self._numbers[id(trial)]
        self.state.turns.append(Turn(number, trial.record.model_copy(), trial.recipe))
        self.state.spent_s = self._spent()
        self._coming += 1
        if log is not None:
            self.state.log = log.rows
        if trial.model is None:
            self._forget(number)
        else:
            self._fresh[number] = trial.model.state_dict()
        if self.states.due():
            self.note()
        if number in self._fresh:  # the network goes on to change
            weights = self._fresh[number]
            self._fresh[number] = {key: t.detach().clone() for key, t in weights.items()}

    def note(self) -> None:
        """Write the state, if there is something that it does not hold yet."""
        if self._noted == len(self.state.turns) or self._closed:
            return
        if self.states.save(self.state, self._fresh):
            self._fresh, self._noted = {}, len(self.state.turns)

    def let_go(self, trial: LiveTrial) -> None:
        """Take into account that a trial has dropped out: its weights are needed no more."""
        if not self._closed and not self.runner.stop.requested and self.runner.dropped is None:
            self._forget(self._numbers[id(trial)])

    def _forget(self, number: int) -> None:
        self._fresh.pop(number, None)
        self.state.places.pop(number, None)

    def _take(self, turn: Turn, trial: LiveTrial, log: RunLog | None) -> None:
        number = self._numbers[id(trial)]
        if turn.trial != number:
            raise DataError(
                f"{trial.record.model}: the state of the trials is of another order; train anew"
            )
        for name in Trial.model_fields:
            setattr(trial.record, name, getattr(turn.record, name))
        trial.recipe = turn.recipe
        if number in self.state.places and trial.model is None:
            model = self.runner.build(trial)
            model.load_state_dict(self.states.weights(self.state, number))
            trial.model = model
        if log is not None:
            log.restore(self.state.log)

    def _found(self, title: str) -> str:
        """Return in a line what was there before, and what comes now."""
        trained, count = len({turn.trial for turn in self.state.turns}), len(self._numbers)
        which = f"{trained} of {count}" if trained < count or count == 1 else f"all {count}"
        return f"{which} networks were trained before; going on with {title}"
