"""Progress on standard error: bars with rates and time left, or plain lines off a terminal."""

import sys
import time
from typing import Any

from convatlas.cli.output import for_screen
from convatlas.cli.output import note as note_line
from convatlas.progress import Bar, Progress

WORTH_A_LINE_S = 5.0  # off a terminal, only work that took longer is mentioned
BETWEEN_LINES_S = 30.0


def progress_on_stderr() -> Progress:
    """What suits standard error as it is."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()


class RichProgress:
    """One moving line for the work in hand."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, emoji=False)

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """A bar that goes when the work is over."""
        return _RichBar(self._console, title, total, unit)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(for_screen(text), markup=False, soft_wrap=True)


class _RichBar:
    def __init__(self, console: Any, title: str, total: float | None, unit: str):
        from rich.progress import (
            BarColumn,
            Progress,
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
            TimeElapsedColumn(),
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


class PlainProgress:
    """Lines for a log file: what was said, and long work now and then."""

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Work that is mentioned when it takes long."""
        return _PlainBar(title, total)

    def say(self, text: str) -> None:
        """A line."""
        note_line(text)


class _PlainBar:
    def __init__(self, title: str, total: float | None):
        self._title, self._total = title, total
        self._start = self._spoken = time.perf_counter()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        now = time.perf_counter()
        if now - self._spoken < BETWEEN_LINES_S:
            return
        self._spoken = now
        whole = total or self._total
        share = f" {done / whole:.0%}" if whole else ""
        note_line(f"{self._title}:{share} {note}".rstrip())

    def close(self) -> None:
        took = time.perf_counter() - self._start
        if took >= WORTH_A_LINE_S:
            note_line(f"{self._title}: done in {took:.0f} s")
