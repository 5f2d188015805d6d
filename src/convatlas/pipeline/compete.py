"""The contest between trials: successive halving, said aloud round by round."""

from convatlas.pipeline.trials import LiveTrial, OutOfMemory, TrialRunner
from convatlas.search.halving import plan_rungs, successive_halving
from convatlas.train.log import RunLog


def compete(
    runner: TrialRunner, trials: list[LiveTrial], seconds: float, log: RunLog
) -> list[LiveTrial]:
    """Train all a little and the best more; the trials, best first.

    Args:
        log: of the winner's last round.
    """
    everyone, metric = list(trials), runner.task.metric
    rungs = plan_rungs(len(trials), seconds)
    progress = runner.progress
    progress.say(f"training {len(trials)} of the networks that fit, {seconds:.0f} s in total")

    def train_round(trial: LiveTrial, slot: float, last: bool) -> tuple[float, float] | None:
        record = trial.record
        if runner.stop.requested and record.figures:
            return trial.score(metric)
        name = f"{record.model} {record.input}"
        title = f"final training: {name}" if last else name
        try:
            result = runner.train(trial, slot, title=title, log=log if last else None)
        except OutOfMemory as error:
            progress.say(f"{title}: {error}")
            record.reason = str(error)
            if not record.figures:
                record.status, trial.model = "failed", None
            return trial.score(metric)
        record.status = result.ended if result.ended == "diverged" else "trained"
        if result.ended == "diverged":
            record.reason = "its loss became infinite or not a number"
        elif not record.epochs:
            record.status = "not trained"
        reached = metric.text(record.value(metric)) if record.figures else result.ended
        progress.say(f"{title}: {reached} on validation after {record.epochs:.1f} epochs")
        return trial.score(metric)

    def on_dropped(trial: LiveTrial, rung: int) -> None:
        if trial.record.status == "trained":
            trial.record.status = f"dropped after round {rung}"
        trial.model = None
        runner.trial_data.keep(e.counted.candidate for e in everyone if e.model is not None)

    survivors = successive_halving(trials, rungs, train_round, on_dropped)
    rest = [e for e in everyone if e not in survivors]
    return survivors + sorted(rest, key=lambda e: e.score(metric) or (), reverse=True)
