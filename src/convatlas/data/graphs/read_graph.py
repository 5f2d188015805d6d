"""Read the graph of sensors: a matrix or a list of edges, with weights or distances."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convatlas.data.graphs.read_series import GRAPH_KEYS
from convatlas.data.graphs.sensor_graph import (
    SensorGraph,
    gaussian_kernel,
    graph_of_edges,
    graph_of_matrix,
)
from convatlas.errors import DataError
from convatlas.text import printable

DISTANCE_NAMES = (
    *("distance", "distances", "dist", "cost", "length"),
    *("m", "meters", "metres", "km", "miles"),
)
WEIGHT_NAMES = ("weight", "weights", "w", "value", "similarity", "adjacency")


def read_graph(path: Path, names: Sequence[str], *, symmetrise: str = "no") -> SensorGraph:
    """Read a graph from a file.

    An npz file holds `adjacency`, a matrix of weights. A CSV file is such a matrix without a line
    of names, or a list of edges with one: two sensors and a weight, or a `distance` (`cost`), from
    which a Gaussian kernel makes weights. Without a third column each edge has weight 1.

    Args:
        names: of the sensors, in the order of the readings.

    Raises:
        DataError: it cannot be read, or is no graph of these sensors.
    """
    place = printable(path)
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                key = next((k for k in GRAPH_KEYS if k in file.files), None)
                if key is None:
                    raise DataError(f"{place}: must hold the array adjacency")
                matrix = file[key]
            return graph_of_matrix(matrix, names, place=place, symmetrise=symmetrise)
        if path.suffix.lower() != ".csv":
            raise DataError(f"{place}: a graph must be an npz or CSV file")
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except DataError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{place}: no graph can be read ({printable(reason)})") from None
    if not rows:
        raise DataError(f"{place}: is empty")
    square = len(rows) == len(names) and all(len(row) == len(names) for row in rows)
    if square and all(_is_number(cell) for cell in rows[0]):
        matrix = np.array([[_number(cell, place) for cell in row] for row in rows])
        return graph_of_matrix(matrix, names, place=place, symmetrise=symmetrise)
    return _edge_list(rows, names, place, symmetrise)


def _edge_list(
    rows: list[list[str]], names: Sequence[str], place: str, symmetrise: str
) -> SensorGraph:
    head, body = rows[0], rows[1:]
    if len(head) not in (2, 3) or (len(head) == 3 and _is_number(head[2])):
        raise DataError(
            f"{place}: must be a matrix of {len(names)} x {len(names)} numbers, or a line of "
            "names such as from,to,weight and lines of two sensors and a weight or distance; got "
            f"{len(rows)} lines, the first of {len(head)} cells without such names"
        )
    known = {name: number for number, name in enumerate(names)}
    if head[0] in known and head[1] in known:
        raise DataError(
            f"{place}: the first line must name the columns, such as from,to,weight; got an edge "
            f"from {printable(head[0])} to {printable(head[1])}"
        )
    kind = head[2].lower() if len(head) == 3 else WEIGHT_NAMES[0]
    if kind not in (*WEIGHT_NAMES, *DISTANCE_NAMES):
        raise DataError(
            f"{place}: the third column must be called weight or distance, got {printable(head[2])}"
        )
    if not body:
        raise DataError(f"{place}: holds no edges")
    for column in (0, 1):
        for line, row in enumerate(body, start=2):
            if len(row) != len(head):
                raise DataError(f"{place}: line {line} must have {len(head)} cells, got {len(row)}")
            if row[column] not in known:
                raise DataError(
                    f"{place}: line {line}: there are no readings of sensor "
                    f"{printable(row[column])}"
                )
    rows_of, columns_of = (
        np.array([known[row[column]] for row in body], dtype=np.int64) for column in (0, 1)
    )
    if len(head) == 2:
        values = np.ones(len(body))
    else:
        values = np.array([_number(row[2], place) for row in body])
        if kind in DISTANCE_NAMES:
            faulty = values[~np.isfinite(values) | (values < 0)]
            if len(faulty):
                raise DataError(f"{place}: distances must be 0 or more, got {faulty[0]:g}")
            values = gaussian_kernel(values)
    return graph_of_edges(rows_of, columns_of, values, names, place=place, symmetrise=symmetrise)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{place}: must hold numbers, got {printable(cell)}") from None
