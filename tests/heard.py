"""A progress for tests that look at what was said."""

from convatlas.progress import Silent


class Heard(Silent):
    """Remembers each sentence; bars show nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)
