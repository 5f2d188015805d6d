"""What comes after training, step by step: each may fail by itself and be taken again."""

from collections.abc import Callable
from typing import TypeVar

from convatlas.errors import ConvatlasError
from convatlas.pipeline.config import DONE
from convatlas.pipeline.run import Run
from convatlas.progress import Progress
from convatlas.train.stop import StopRequest

T = TypeVar("T")


class Steps:
    """Takes the steps of a run whose weights and `run.json` are on disk, and notes each there.

    Args:
        run: the run; its config is changed and saved.
        stop: once requested, no further step is begun.
    """

    def __init__(self, run: Run, progress: Progress, stop: StopRequest | None = None):
        self.run, self.progress, self.stop = run, progress, stop

    def take(self, name: str, action: Callable[[], T]) -> T | None:
        """Do one step and note how it went; what it raises is said, not raised."""
        if self.stop is not None and self.stop.requested:
            self._note(name, "not done: stopped before")
            return None
        try:
            result = action()
        except Exception as error:  # whatever the exporter or a runtime raises costs this step only
            self.miss(name, _reason(error))
            return None
        self._note(name, DONE)
        return result

    def miss(self, name: str, reason: str) -> None:
        """Say and note that a step came to nothing."""
        self.progress.say(
            f"warning: {name} failed: {reason}; the trained network is kept, and "
            f"`convatlas report {self.run.path}` repeats this step"
        )
        self._note(name, f"failed: {reason}")

    def _note(self, name: str, how: str) -> None:
        config = self.run.config
        config.steps[name] = how
        try:
            config.save(self.run.path)
        except ConvatlasError as error:
            self.progress.say(f"warning: {error}")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, ConvatlasError) else f"{type(error).__name__}: {text}"
