"""What a run wrote down: one row an epoch, as JSON lines, as CSV and for TensorBoard."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

JSON_LINES, CSV = "log.jsonl", "log.csv"


class RunLog:
    """Appends rows to `log.jsonl`, `log.csv` and, where it is installed, TensorBoard.

    Every row reaches the disk before the next step, so a crash loses nothing that was logged.

    Args:
        folder: where to write; None keeps the rows in memory only.
    """

    def __init__(self, folder: Path | None = None):
        self.rows: list[dict[str, Any]] = []
        self._folder = folder
        self._tensorboard = _tensorboard(folder) if folder else None

    def write(self, **row: Any) -> None:
        """Add a row; all rows of a log have the same names."""
        self.rows.append(row)
        if self._folder is None:
            return
        try:
            self._append(self._folder, row)
        except OSError:  # a full disk, a removed folder: training goes on, and the end will tell
            self._folder = self._tensorboard = None

    def _append(self, folder: Path, row: dict[str, Any]) -> None:
        with (folder / JSON_LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        path = folder / CSV
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        if self._tensorboard is not None:
            for name, value in row.items():
                if isinstance(value, int | float) and name not in ("epoch", "step"):
                    self._tensorboard.add_scalar(name, value, row["step"])

    def restore(self, rows: Sequence[dict[str, Any]]) -> None:
        """Set the rows, also on disk: those that were written after a checkpoint come anew."""
        tensorboard, self._tensorboard = self._tensorboard, None  # it has these rows
        if self._folder is not None:
            for name in (JSON_LINES, CSV):
                (self._folder / name).unlink(missing_ok=True)
        self.rows = []
        for row in rows:
            self.write(**row)
        self._tensorboard = tensorboard

    def write_nothing(self) -> None:
        """Keep the rows in memory only: another process writes them."""
        self._folder = self._tensorboard = None

    def close(self) -> None:
        """Finish the TensorBoard file."""
        if self._tensorboard is not None:
            self._tensorboard.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that a run wrote; none where it wrote no log."""
    path = folder / JSON_LINES
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # the extra `convatlas[tensorboard]` is not installed
        return None
    try:
        return SummaryWriter(str(folder / "tensorboard"))
    except UnicodeEncodeError:  # TensorBoard takes no path that is not UTF-8
        return None
