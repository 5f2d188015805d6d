"""The contest between trials: successive halving, said aloud round by round."""

import math
from collections.abc import Sequence

from convatlas.pipeline.config import Trial
from convatlas.pipeline.trials import LiveTrial, OutOfMemory, TrialRunner
from convatlas.pipeline.turns import Turns
from convatlas.search.foresee import Forecast, Rival, clear, foresee
from convatlas.search.halving import plan_rungs, successive_halving
from convatlas.train.log import RunLog

# Standard deviations: of two that are nearer the one with less work goes on. Early ones are about a
# tenth of the error: half of one would give away three points where half the answers are wrong.
TIE = 0.2


def compete(
    runner: TrialRunner,
    trials: list[LiveTrial],
    seconds: float | None,
    log: RunLog,
    epochs: float | None = None,
    turns: Turns | None = None,
) -> list[LiveTrial]:
    """Train all a little and the most promising more; the trials, best first.

    Who goes on is decided by what each is expected to reach at the end, where learning curves of
    such networks were recorded, else by what it reached so far.

    Args:
        seconds: for all; None where only the epochs limit it.
        log: of the winner's last round.
        epochs: that the winner trains in all, if it is not stopped by the time.
        turns: where each is noted, and those that were over before are found; None notes none.
    """
    everyone, metric = list(trials), runner.metric
    rungs = plan_rungs(len(trials), 1.0)  # in shares of the whole
    of_winner = sum(rung.seconds for rung in rungs)
    progress = runner.progress
    limits = [f"{seconds:.0f} s in total"] if seconds is not None else []
    limits += [f"the chosen one for {epochs:g} epochs"] if epochs is not None else []
    if seconds is None and len(trials) == 1:
        progress.say(f"training one network for {epochs:g} epochs")
    else:
        progress.say(f"training {len(trials)} of the networks that fit, {', '.join(limits)}")

    left = 1.0  # share of the time for turns that are not over

    def train_round(trial: LiveTrial, share: float, last: bool) -> None:
        nonlocal left
        own, record = log if last else None, trial.record
        name = f"{record.model} {record.input}"
        title = f"final training: {name}" if last else name
        if turns is not None and turns.was_taken(trial, title, own):
            left -= share
            return
        if runner.stop.requested and record.figures:
            return
        ended = train_for(trial, share, title, own)
        if turns is not None:
            turns.over(trial, own, interrupted=ended == "interrupted")

    def train_for(trial: LiveTrial, share: float, title: str, own: RunLog | None) -> str:
        slot = None if seconds is None else share * seconds
        passes = None if epochs is None else share / of_winner * epochs
        record = trial.record
        checkpoints = None if turns is None else turns.checkpoints(trial)
        stretch = 1.0 if turns is None or seconds is None else turns.stretch(left * seconds)
        try:
            result = runner.train(
                trial,
                slot,
                passes,
                title=title,
                log=own,
                checkpoints=checkpoints,
                stretch=stretch,
            )
        except OutOfMemory as error:
            progress.say(f"{title}: {error}")
            record.reason = str(error)
            if not record.figures:
                record.status, trial.model = "failed", None
            return "failed"
        record.status = result.ended if result.ended == "diverged" else "trained"
        if result.ended == "diverged":
            record.reason = result.reason or "its loss became infinite or not a number"
            progress.say(f"{title}: {record.reason}")
        elif not record.epochs:
            record.status = "not trained"
        reached = metric.text(record.value(metric)) if record.figures else result.ended
        progress.say(f"{title}: {reached} on validation after {record.epochs:.1f} epochs")
        return result.ended

    def on_dropped(trial: LiveTrial, rung: int) -> None:
        if trial.record.status == "trained":
            trial.record.status = f"dropped after round {rung}"
        runner.let_go(trial)
        if turns is not None:
            turns.let_go(trial)
        runner.trial_data.keep(e.counted.candidate for e in everyone if e.model is not None)

    ends = None if seconds is None else of_winner * seconds
    forecasts = _Forecasts(runner, ends, epochs)
    survivors = successive_halving(
        trials, rungs, train_round, forecasts.order, on_dropped, forecasts.decided
    )
    rest = [e for e in everyone if e not in survivors]
    return survivors + sorted(rest, key=lambda e: e.score(metric) or (), reverse=True)


class _Forecasts:
    """Sorts trials by what they are expected to reach by the end."""

    def __init__(self, runner: TrialRunner, seconds: float | None, epochs: float | None):
        self._runner, self._seconds, self._epochs = runner, seconds, epochs
        self._found: dict[int, Forecast] = {}

    def order(self, trials: list[LiveTrial]) -> list[LiveTrial]:
        """Return the trials, the most promising first; those that were not judged last."""
        metric = self._runner.metric
        judged = [each for each in trials if each.score(metric) is not None]
        others = [each for each in trials if each.score(metric) is None]
        self._found = self._forecast(judged)
        if not self._found:
            return sorted(judged, key=lambda e: e.score(metric) or (), reverse=True) + others
        judged.sort(key=lambda e: self._found[id(e)].error)
        return self._cheaper_first(judged) + others

    def decided(self, trials: list[LiveTrial]) -> bool:
        """Return whether the first is clearly ahead of the second by the end."""
        pair = [self._found.get(id(each)) for each in trials[:2]]
        return pair[0] is not None and pair[1] is not None and clear(pair[0], pair[1])

    def _cheaper_first(self, trials: list[LiveTrial]) -> list[LiveTrial]:
        """Move one forward that is as good as the first, as far as can be told, for less work."""
        best = self._found[id(trials[0])]
        equal = [each for each in trials if not clear(best, self._found[id(each)], TIE)]
        first = min(equal, key=_macs)
        return [first, *(each for each in trials if each is not first)]

    def _forecast(self, trials: Sequence[LiveTrial]) -> dict[int, Forecast]:
        """Return the forecast of each trial by its `id`; none where one has no recorded curve."""
        metric, count = self._runner.metric, len(self._runner.data.splits["train"])
        if not metric.is_fraction or len(trials) < 2:
            return {}
        rivals = []
        for trial in trials:
            record, value = trial.record, trial.record.value(metric)
            if trial.expected is None or value is None or not record.epochs:
                return {}
            judged = record.validated or len(self._runner.data.splits["val"])
            seen, final = count * record.epochs, count * self._final_epochs(record)
            rivals.append(Rival(trial.expected, 1 - value, judged, seen, final))
        return {id(t): f for t, f in zip(trials, foresee(rivals), strict=True)}

    def _final_epochs(self, record: Trial) -> float:
        """Return the passes of one that goes on to the end, at the speed that it had so far."""
        by_time = math.inf
        if self._seconds is not None:
            by_time = record.epochs * max(1.0, self._seconds / max(record.seconds, 1e-3))
        return min(by_time, max(record.epochs, self._epochs or math.inf))


def _macs(trial: LiveTrial) -> float:
    cost = trial.counted.cost
    return cost.macs if cost is not None else 0.0
