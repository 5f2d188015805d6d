"""How long work says where it stands, without knowing who is looking.

The library reports to a `Progress`; the command line draws it, a notebook may ignore it.
"""

from typing import Protocol


class Bar(Protocol):
    """One piece of work whose end is known or not."""

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report the work done so far, with a few words on how it goes."""
        ...

    def close(self) -> None:
        """Report that the work is over; the bar may go."""
        ...


class Progress(Protocol):
    """Where work reports to."""

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Begin a piece of work."""
        ...

    def say(self, text: str) -> None:
        """Keep one finished sentence on the screen."""
        ...


class SilentBar:
    """Shows nothing."""

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Shows nothing."""


class Silent:
    """A `Progress` for scripts and tests."""

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Return a bar that shows nothing."""
        return SilentBar()

    def say(self, text: str) -> None:
        """Shows nothing."""
