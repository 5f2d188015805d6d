"""Progress on standard error: bars with rates and time left, or plain lines off a terminal."""

import sys
import time
from typing import Any, NamedTuple

from convatlas.cli.output import for_screen
from convatlas.cli.output import note as note_line
from convatlas.progress import Bar, Progress

WORTH_A_LINE_S = 5.0  # off a terminal, only work that took longer is mentioned
BETWEEN_LINES_S = 30.0


class Clock(NamedTuple):
    """The clock of a whole job: its limit, if any, and `time.perf_counter()` at its start."""

    limit_s: float | None
    started: float

    def __str__(self) -> str:
        if self.limit_s is None:
            return _minutes(time.perf_counter() - self.started)
        return f"{_minutes(time.perf_counter() - self.started)} of {_minutes(self.limit_s)}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def progress_on_stderr(clock: Clock | None = None) -> Progress:
    """Choose what suits standard error as it is; a job with a time limit shows its clock."""
    return RichProgress(clock) if sys.stderr.isatty() else PlainProgress(clock)


class RichProgress:
    """One moving line for the work in hand."""

    def __init__(self, clock: Clock | None = None) -> None:
        from rich.console import Console

        self._clock = clock
        self._console = Console(stderr=True, highlight=False, emoji=False)

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Show a bar that goes when the work is over."""
        return _RichBar(self._console, title, total, unit, self._clock)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(for_screen(text), markup=False, soft_wrap=True)


class _RichBar:
    def __init__(
        self, console: Any, title: str, total: float | None, unit: str, clock: Clock | None
    ):
        from rich.progress import (
            BarColumn,
            Progress,
            RenderableColumn,
            SpinnerColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._unit = unit
        self._start = time.perf_counter()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn() if clock is None else RenderableColumn(_Now(clock)),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(for_screen(title), total=total, note="")
        self._progress.start()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        if not note and self._unit:
            rate = done / max(1e-9, time.perf_counter() - self._start)
            note = f"{rate:,.0f} {self._unit}/s"
        # A total of None leaves the bar's own.
        self._progress.update(self._task, completed=done, total=total, note=for_screen(note))

    def close(self) -> None:
        self._progress.stop()


class _Now:
    """The clock as it is whenever the line is drawn."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def __rich__(self) -> str:
        return str(self.clock)


class PlainProgress:
    """Lines for a log file: what was said, and long work now and then."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Work that is mentioned when it takes long."""
        return _PlainBar(title, total, self._clock)

    def say(self, text: str) -> None:
        """Print a line."""
        note_line(text)


class _PlainBar:
    def __init__(self, title: str, total: float | None, clock: Clock | None):
        self._title, self._total, self._clock = title, total, clock
        self._start = self._spoken = time.perf_counter()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        now = time.perf_counter()
        if now - self._spoken < BETWEEN_LINES_S:
            return
        self._spoken = now
        whole = total or self._total
        share = f" {done / whole:.0%}" if whole else ""
        at = f" ({self._clock})" if self._clock else ""
        note_line(f"{self._title}:{share} {note}".rstrip() + at)

    def close(self) -> None:
        took = time.perf_counter() - self._start
        if took >= WORTH_A_LINE_S:
            at = f" ({self._clock})" if self._clock else ""
            note_line(f"{self._title}: done in {took:.0f} s{at}")
