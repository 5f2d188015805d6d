"""The forecast for one file of recent readings, as it is shown and written."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from convatlas.explain.file_stem import file_stem
from convatlas.text import printable, unicode_only

COLUMNS = ("file", "step", "mean", "lowest", "highest")
CSV_COLUMNS = ("first step", "last step", "mean of the first", "mean of the last")


@dataclass(frozen=True)
class SensorForecast:
    """The answer for one file; `error` says why there is none.

    Args:
        file: its path, or `readings 3` for the third ones in memory.
        sensors: their names.
        steps: times of the steps that are forecast, or `+1`, `+2` and so on.
        doubt: why parts of it are worth little; empty where there is no reason.
        values: readings to come. Shape: float32 (horizon, sensors)
    """

    file: str
    sensors: Sequence[str] = ()
    steps: Sequence[str] = ()
    error: str | None = None
    doubt: str = ""
    values: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def stem(self) -> str:
        """What the answer's file is called after."""
        return file_stem(self.file)

    def paths(self, folder: Path, stem: str | None = None) -> list[Path]:
        """Return the file that `save` writes."""
        return [folder / f"{stem or self.stem}-forecast.csv"]

    def save(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write the forecast: a line a step, a column a sensor.

        Args:
            stem: how the name begins; that of the file where not given.

        Raises:
            WriteError: it cannot be written.
        """
        from convatlas.replacing import replacing

        assert self.values is not None
        Path(folder).mkdir(parents=True, exist_ok=True)
        (path,) = self.paths(Path(folder), stem)
        with replacing(path) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time", *map(unicode_only, self.sensors)])
            for step, row in zip(self.steps, self.values.tolist(), strict=True):
                writer.writerow([step, *(f"{value:.7g}" for value in row)])
        return [path]

    def cells(self, top: int) -> list[str]:
        """Return first and last step, and the sensors' mean at both."""
        if self.values is None:
            return [""] * len(CSV_COLUMNS)
        means = self.values.mean(1)
        return [self.steps[0], self.steps[-1], f"{means[0]:.6g}", f"{means[-1]:.6g}"]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return a row for each step, the file's name in the first one only."""
        if self.values is None:
            return [(printable(self.file), None, None, None, None)]
        return [
            (
                printable(self.file) if not number else "",
                step,
                f"{float(row.mean()):.4g}",
                f"{float(row.min()):.4g}",
                f"{float(row.max()):.4g}",
            )
            for number, (step, row) in enumerate(zip(self.steps, self.values, strict=True))
        ]
