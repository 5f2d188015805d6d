"""The Pareto front of a job: the trained networks that no other beats.

Metric and costs: the validated figure, multiply-adds and parameters. Both costs are counted, so
the front does not change with how busy the machine is.
"""

from collections.abc import Sequence

from convatlas.metric import Metric
from convatlas.pipeline.config import Trial

COSTS = ("macs", "params")


def front_of(
    leaderboard: Sequence[Trial], metric: Metric, costs: Sequence[str] = COSTS
) -> list[Trial]:
    """Return the trials that no other beats, the best metric first.

    One beats another if it is at least as good in the metric and in each cost, and better in one of
    them. Of several that are equal in all the first stands for the others. Networks that were not
    trained, whose cost is not known, or that are over the budget do not take part.

    Args:
        costs: fields of `Trial`, of which less is better.
    """
    points: dict[tuple[float, ...], Trial] = {}
    for trial in leaderboard:
        values = [getattr(trial, name) for name in costs]
        if trial.figures and None not in values and trial.status != "over budget":
            point = (metric.rank(trial.value(metric)), *(-value for value in values))
            points.setdefault(point, trial)
    kept = [one for one in points if not any(_beats(other, one) for other in points)]
    return [points[point] for point in sorted(kept, reverse=True)]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
