"""What older versions wrote into `run.json`, as this version reads it.

They knew one task: images in, one of several classes out.
"""

from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from convatlas.explain.classes.score import Score
from convatlas.metric import ACCURACY

SETTINGS = ("size", "mean", "std", "crop", "filter")


def run_of_any_version(stored: Any) -> Any:
    """Translate a run: classes, channels, size and accuracy stood there by themselves."""
    if not isinstance(stored, dict) or "facts" in stored or "classes" not in stored:
        return stored
    run = {"crop": None, "filter": "bilinear", "reading": {}, **stored}
    size, channels = run.get("size"), run.get("channels")
    facts = {"height": size, "width": size}
    for key in ("classes", "channels", "reading"):
        if key in run:
            facts[key] = run.pop(key)
    settings = {key: run.pop(key) for key in SETTINGS if key in run}
    figures = {"accuracy": run.pop("accuracy", None)}
    validation = {"accuracy": run.pop("val_accuracy", None)}
    test = run.get("test")
    if isinstance(test, dict) and "words" not in test:
        with suppress(ValidationError):  # the run says so itself when it is read
            run["test"] = Score.model_validate(test).record()
    return {
        "facts": facts,
        "settings": settings,
        "example": {"size": size},
        "input": [channels, size, size],
        "metric": ACCURACY,
        "figures": {key: value for key, value in figures.items() if value is not None},
        "validation": {key: value for key, value in validation.items() if value is not None},
        **run,
    }


def trial_of_any_version(stored: Any) -> Any:
    """Translate a line of the leaderboard: `accuracy` was its one figure, `size` its input."""
    if not isinstance(stored, dict):
        return stored
    trial = dict(stored)
    if "size" in trial:
        size = trial.pop("size")
        trial = {"example": {"size": size}, "input": f"{size} px"} | trial
    accuracy = trial.pop("accuracy", None)
    if accuracy is not None:
        trial = {"figures": {"accuracy": accuracy}} | trial
    return trial
