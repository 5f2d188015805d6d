"""The class of one input, as it is shown and written."""

from dataclasses import dataclass

from convatlas.text import printable

COLUMNS = ("file", "class", "probability")


@dataclass(frozen=True)
class Prediction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        label: the most probable class.
        probability: of that class, 0..1.
        probabilities: of each class, 0..1.
    """

    file: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None = None

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the most probable classes with their probabilities, best first."""
        named = (self.probabilities or {}).items()
        return sorted(named, key=lambda pair: -pair[1])[:count]

    def cells(self, top: int) -> list[str]:
        """Return classes and probabilities in turn, empty where there are fewer than `top`."""
        found: list[str] = []
        for label, probability in self.top(top):
            found += [label, f"{probability:.6g}"]
        return found + [""] * (2 * top - len(found))

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return a row for each class, the file's name in the first one only."""
        found = self.top(top)
        if not found:
            return [(printable(self.file), None, None)]
        names = [printable(self.file)] + [""] * (len(found) - 1)
        return [
            (name, printable(label), f"{probability:.1%}")
            for name, (label, probability) in zip(names, found, strict=True)
        ]


@dataclass(frozen=True)
class TextAnswer(Prediction):
    """The answer for one text.

    Args:
        doubt: why it is worth little; empty where there is no reason.
    """

    doubt: str = ""


def csv_columns(top: int) -> list[str]:
    """Return the headings of `Prediction.cells`."""
    pairs = [("class", "probability")]
    pairs += [(f"class {place}", f"probability {place}") for place in range(2, top + 1)]
    return [name for pair in pairs for name in pair]
