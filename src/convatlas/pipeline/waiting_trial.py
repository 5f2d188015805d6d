"""The line of the leaderboard of a candidate that was counted and not trained yet."""

from convatlas.pipeline.config import Trial
from convatlas.search.costed import CostedCandidate
from convatlas.tasks.task import AnyTask


def waiting_trial(task: AnyTask, counted: CostedCandidate) -> Trial:
    """Return the line: its cost, and why it is out where it is."""
    candidate, cost = counted.candidate, counted.cost
    hidden = ("in_channels", "num_classes")
    return Trial(
        model=candidate.name,
        options={k: v for k, v in candidate.options.items() if k not in hidden},
        example=dict(candidate.example),
        input=task.form_words(candidate),
        params=cost.params if cost else None,
        macs=cost.macs if cost else None,
        peak_bytes=cost.peak_bytes if cost else None,
        memory_bytes=cost.memory_bytes if cost else None,
        status=_status(counted),
        reason=counted.reason,
    )


def _status(counted: CostedCandidate) -> str:
    if counted.excess:
        return "over budget"
    return "not trained" if counted.fits or counted.too_slow else "unsuited"
