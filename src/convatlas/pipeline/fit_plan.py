"""The trials that a `fit` has decided on before the first turn: stored, and taken up again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from convatlas.errors import DataError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.select_trials import Sweeps
from convatlas.pipeline.trials import LiveTrial
from convatlas.search.budget import Budget
from convatlas.search.costed import CostedCandidate, count_candidate
from convatlas.search.known_curves import Curve, Expected
from convatlas.search.space import Candidate

SECONDS = "seconds"  # of a plan: what all turns may take
TRANSFER = "transfer"  # whether the trials start from public weights


def stored_plan(
    trials: Sequence[LiveTrial],
    others: Sequence[Trial],
    speeds: Speeds,
    seconds: float | None,
) -> dict[str, Any]:
    """Return what was decided, for JSON.

    Args:
        others: lines of the leaderboard of those that are not trained.
        seconds: for all turns; None where only epochs limit them.
    """
    return {
        SECONDS: seconds,
        "trials": [_stored_trial(trial, speeds) for trial in trials],
        "others": [record.model_dump() for record in others],
    }


def restored_trials(
    plan: Mapping[str, Any], rows: Sweeps, speeds: Speeds
) -> tuple[list[LiveTrial], list[Trial]]:
    """Return the trials and the lines of the others, as `stored_plan` was given them.

    Args:
        rows: the candidates, whose public weights the trials start from.

    Raises:
        DataError: a network cannot be built as it was, or its public weights are gone.
    """
    trials = [_restored_trial(stored, rows, speeds) for stored in plan["trials"]]
    return trials, [Trial.model_validate(record) for record in plan["others"]]


def _stored_trial(trial: LiveTrial, speeds: Speeds) -> dict[str, Any]:
    candidate = trial.counted.candidate
    return {
        "name": candidate.name,
        "options": dict(candidate.options),
        "example": dict(candidate.example),
        "prepare": dict(candidate.prepare),
        "public": candidate.checkpoint is not None,
        "record": trial.record.model_dump(),
        "way": trial.way,
        "expected": None if trial.expected is None else asdict(trial.expected),
        "measured": speeds.measured(candidate),
    }


def _restored_trial(stored: Mapping[str, Any], rows: Sweeps, speeds: Speeds) -> LiveTrial:
    candidate = Candidate(
        stored["name"], stored["options"], stored["example"], prepare=stored["prepare"]
    )
    if stored["public"]:
        candidate = replace(candidate, checkpoint=_like(candidate, rows).checkpoint)
    counted = count_candidate(candidate, Budget())
    if counted.cost is None:
        raise DataError(f"{candidate.name}: cannot be built as before: {counted.reason}")
    speeds.take_measured(candidate, stored["measured"])
    return LiveTrial(
        CostedCandidate(candidate, counted.cost),
        Trial.model_validate(stored["record"]),
        way=stored["way"],
        expected=_expected(stored["expected"]),
    )


def _like(wanted: Candidate, rows: Sweeps) -> Candidate:
    """Return the candidate of a network, at the same size if there is one."""
    own = [each for sweep in rows.get(wanted.name, ()) for each in sweep]
    own = [each for each in own if each.checkpoint is not None]
    if not own:
        raise DataError(f"{wanted.name}: its public weights are no longer on this machine")
    return next((each for each in own if each.example == wanted.example), own[0])


def _expected(stored: Mapping[str, Any] | None) -> Expected | None:
    if stored is None:
        return None
    curves = tuple(
        Curve(**{**c, "images": tuple(c["images"]), "errors": tuple(c["errors"])})
        for c in stored["curves"]
    )
    return Expected(curves, stored["factor"], stored["seconds"])
