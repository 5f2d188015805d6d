"""Whether the validation examples were enough to tell the best networks of a job apart."""

from convatlas.pipeline.config import FEW_VALIDATED, RunConfig
from convatlas.tasks.task import AnyTask


def doubtful_ranking(task: AnyTask, config: RunConfig) -> list[str]:
    """Write a sentence where the two best networks lie within each other's interval."""
    metric = config.metric
    trained = [trial for trial in config.leaderboard if trial.value(metric) is not None]
    best = sorted(trained, key=lambda t: metric.rank(t.judged(metric)), reverse=True)[:2]
    if len(best) < 2:
        return []
    counts = config.counts.get("val", 0)
    judged = min(trial.folds.items if trial.folds else trial.validated or counts for trial in best)
    first, second = (trial.judged(metric) or 0.0 for trial in best)
    if not judged or not task.cannot_tell(first, second, judged):
        return []
    noise = task.noise(judged, first) if judged < FEW_VALIDATED else None
    return [
        f"{judged:,} validation {task.items} are too few to rank the best networks: "
        f"{metric.text(first)} and {metric.text(second)} lie within each other's 95 % interval"
        + (f"; differences of less than {noise} are chance" if noise else "")
    ]
