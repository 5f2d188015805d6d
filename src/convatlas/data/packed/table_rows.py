"""Single rows of large tables: mapped from the disk, or by the groups that a parquet file has."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

from convatlas.data.names import printable
from convatlas.data.packages import needed
from convatlas.errors import DataError

MAX_GROUP_BYTES = 256 * 2**20  # of the groups that are held in memory


class Columns(Protocol):
    """The names of the columns of images and classes."""

    @property
    def image(self) -> str: ...
    @property
    def label(self) -> str: ...


class Rows(Protocol):
    """The rows of a table.

    Attributes:
        schema: pyarrow's, of all columns.
        image: the column of images.
    """

    schema: Any
    image: str

    def __len__(self) -> int: ...

    def labels(self, columns: Columns) -> list[Any]:
        """Return the class of each row, as it lies there."""
        ...

    def get(self, row: int) -> Any:
        """Return the image of a row, as it lies there; safe in threads."""
        ...


class TableRows:
    """A table that is in memory, or mapped from the disk.

    Args:
        table: pyarrow's.
    """

    def __init__(self, table: Any):
        self.table, self.schema, self.image = table, table.schema, ""
        self.path: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Another process, such as a worker of a DataLoader, maps the file itself."""
        return self.__dict__ if self.path is None else {"path": self.path, "image": self.image}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "table" not in state:
            again = TableRows.mapped(state["path"])
            self.table, self.schema = again.table, again.schema

    @classmethod
    def mapped(cls, path: Path) -> "TableRows":
        """Return an arrow file without reading it.

        Raises:
            DataError: it is truncated, damaged or no arrow file.
        """
        arrow = needed("pyarrow", "arrow files", "pyarrow", "parquet")
        try:
            source = arrow.memory_map(str(path))
            try:
                found = cls(arrow.ipc.open_stream(source).read_all())
            except arrow.ArrowInvalid:
                source.seek(0)
                found = cls(arrow.ipc.open_file(source).read_all())
            found.path = path
            return found
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"{printable(path)}: truncated or damaged as an arrow file ({printable(error)})"
            ) from None

    def __len__(self) -> int:
        return self.table.num_rows

    def labels(self, columns: Columns) -> list[Any]:
        """Return the class of each row."""
        return self.table.column(columns.label).to_pylist()

    def get(self, row: int) -> Any:
        """Return the image of a row."""
        return self.table.column(self.image)[row].as_py()


class ParquetRows:
    """A parquet file, of which the groups of rows that were read last are held.

    Raises:
        DataError: it is truncated, damaged or no parquet file.
    """

    def __init__(self, path: Path):
        self.path, self.image = path, ""
        parquet = needed("pyarrow.parquet", "parquet files", "pyarrow", "parquet")
        try:
            with parquet.ParquetFile(path) as file:
                self.schema, meta = file.schema_arrow, file.metadata
        except Exception as error:  # pyarrow raises several kinds on damaged bytes
            raise self._damaged(error) from None
        self._starts = [0]
        for group in range(meta.num_row_groups):
            self._starts.append(self._starts[-1] + meta.row_group(group).num_rows)
        self._held: OrderedDict[int, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Another process, such as a worker of a DataLoader, holds groups of its own."""
        return {"path": self.path, "image": self.image}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])
        self.image = state["image"]

    def __len__(self) -> int:
        return self._starts[-1]

    def labels(self, columns: Columns) -> list[Any]:
        """Return the class of each row."""
        return self._read(columns.label).to_pylist()

    def get(self, row: int) -> Any:
        """Return the image of a row."""
        group = next(g for g, start in enumerate(self._starts[1:]) if row < start)
        with self._lock:  # others would read the same group
            if group not in self._held:
                column = self._read(self.image, group)
                self._held[group] = (column, column.nbytes)
                self._drop_oldest()
            self._held.move_to_end(group)
            column = self._held[group][0]
        return column[row - self._starts[group]].as_py()

    def _drop_oldest(self) -> None:
        while len(self._held) > 1 and sum(n for _, n in self._held.values()) > MAX_GROUP_BYTES:
            self._held.popitem(last=False)

    def _read(self, name: str, group: int | None = None) -> Any:
        parquet = needed("pyarrow.parquet", "parquet files", "pyarrow", "parquet")
        try:
            with parquet.ParquetFile(self.path) as file:
                if group is None:
                    return file.read([name]).column(name)
                return file.read_row_group(group, [name]).column(name)
        except Exception as error:  # pyarrow raises several kinds on damaged bytes
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        why = printable(error) or type(error).__name__
        return DataError(f"{printable(self.path)}: truncated or damaged as a parquet file ({why})")
