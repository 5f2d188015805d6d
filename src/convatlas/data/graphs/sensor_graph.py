"""A graph that joins sensors: its edges, checked, and the parts that it falls into."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convatlas.errors import DataError
from convatlas.text import printable, printable_few

SYMMETRISE = ("no", "max", "mean")
KERNEL_FLOOR = 0.1  # weights of the Gaussian kernel below it are left out


@dataclass(frozen=True, eq=False)
class SensorGraph:
    """Edges between sensors, each in both directions, none from a sensor to itself.

    Args:
        sensors: how many there are.
        rows: int64 (e,)
        columns: int64 (e,)
        weights: float32 (e,), above 0
    """

    sensors: int
    rows: Tensor
    columns: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self) -> NDArray[np.int64]:
        """Return for each sensor the smallest number of a sensor that edges lead to. Shape: (v,)"""
        part = np.arange(self.sensors)
        rows, columns = self.rows.numpy(), self.columns.numpy()
        while True:
            least = part.copy()
            np.minimum.at(least, rows, part[columns])
            least = least[least]
            if np.array_equal(least, part):
                return part
            part = least


def graph_of_edges(
    rows: NDArray,
    columns: NDArray,
    weights: NDArray,
    names: Sequence[str],
    *,
    place: str,
    symmetrise: str = "no",
) -> SensorGraph:
    """Return the graph with these edges; a pair named in one direction only counts for both.

    Args:
        names: of the sensors.
        place: file that the edges come from, for messages.
        symmetrise: what two weights of one pair become where they differ: an error, `max`, `mean`.

    Shape: (e,), (e,), (e,)

    Raises:
        DataError: a weight below 0 or no number, or two weights of one pair.
    """
    _check_weights(rows, columns, weights, names, place)
    kept = (rows != columns) & (weights > 0)
    low, high = np.minimum(rows, columns)[kept], np.maximum(rows, columns)[kept]
    keys, inverse = np.unique(low * len(names) + high, return_inverse=True)
    largest, least = np.full(len(keys), -np.inf), np.full(len(keys), np.inf)
    np.maximum.at(largest, inverse, weights[kept])
    np.minimum.at(least, inverse, weights[kept])
    low, high = keys // len(names), keys % len(names)
    differs = np.flatnonzero(largest - least > 1e-6 * largest)
    if len(differs) and symmetrise == "no":
        first = differs[0]
        a, b = names[int(low[first])], names[int(high[first])]
        pair = f"{printable(a)} and {printable(b)}"
        raise DataError(
            f"{place}: {len(differs):,} pairs of sensors have two weights, {pair} "
            f"{least[first]:g} and {largest[first]:g}; --set symmetrise=max or mean takes one"
        )
    both = (largest + least) / 2 if symmetrise == "mean" else largest
    return from_pairs(low, high, both, len(names))


def _check_weights(
    rows: NDArray, columns: NDArray, weights: NDArray, names: Sequence[str], place: str
) -> None:
    """Refuse weights below 0 and such that are no number. Shape: (e,), (e,), (e,)"""
    faulty = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(faulty):
        a, b = names[int(rows[faulty[0]])], names[int(columns[faulty[0]])]
        raise DataError(
            f"{place}: weights must be 0 or more, got {weights[faulty[0]]:g} between sensors "
            f"{printable(a)} and {printable(b)}"
        )


def from_pairs(low: NDArray, high: NDArray, weights: NDArray, sensors: int) -> SensorGraph:
    """Return the graph of undirected pairs, in the order of rows and columns.

    Shape: (pairs,), (pairs,), (pairs,)
    """
    rows, columns = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.lexsort((columns, rows))
    return SensorGraph(
        sensors,
        torch.from_numpy(rows[order].astype(np.int64)),
        torch.from_numpy(columns[order].astype(np.int64)),
        torch.from_numpy(np.concatenate([weights, weights])[order].astype(np.float32)),
    )


def graph_of_matrix(
    matrix: NDArray, names: Sequence[str], *, place: str, symmetrise: str = "no"
) -> SensorGraph:
    """Return the graph of a matrix of weights. Shape: (v, v)

    Raises:
        DataError: no numbers, another size, a weight below 0, or an asymmetric matrix.
    """
    if matrix.dtype.kind not in "fiub":
        raise DataError(f"{place}: the adjacency must be numbers, got {matrix.dtype}")
    matrix = matrix.astype(np.float64)
    if matrix.shape != (len(names), len(names)):
        raise DataError(
            f"{place}: the adjacency must be {len(names)} x {len(names)} for as many sensors, got "
            f"{' x '.join(map(str, matrix.shape))}"
        )
    rows, columns = np.nonzero(matrix)
    _check_weights(rows, columns, matrix[rows, columns], names, place)
    uneven = np.argwhere(np.abs(matrix - matrix.T) > 1e-6 * np.abs(matrix).max(initial=0))
    if len(uneven) and symmetrise == "no":
        a, b = uneven[0]
        raise DataError(
            f"{place}: the adjacency must be symmetric, got {matrix[a, b]:g} from "
            f"{printable(names[a])} to {printable(names[b])} and {matrix[b, a]:g} back; "
            "--set symmetrise=max or mean takes one"
        )
    if symmetrise == "mean":
        matrix = (matrix + matrix.T) / 2
    rows, columns = np.nonzero(matrix)
    return graph_of_edges(
        rows, columns, matrix[rows, columns], names, place=place, symmetrise="max"
    )


def gaussian_kernel(distances: NDArray, *, sigma: float | None = None) -> NDArray:
    """Compute exp(-d^2 / sigma^2), 0 where it is below 0.1.

    Args:
        sigma: in the unit of the distances; their standard deviation where not given.

    Shape: (e,) -> (e,)

    Source: Shuman et al., 2013, arXiv:1211.0053, equation 2.
    """
    scale = float(distances.std()) if sigma is None else sigma
    weights = np.exp(-np.square(distances / scale)) if scale > 0 else np.ones(len(distances))
    return np.where(weights < KERNEL_FLOOR, 0.0, weights)


def disconnected_words(graph: SensorGraph, names: Sequence[str]) -> str | None:
    """Return a sentence if the graph falls into parts: no network passes news between them."""
    numbers, counts = np.unique(graph.parts(), return_counts=True)
    if len(numbers) < 2:
        return None
    alone = [names[n] for n, count in zip(numbers, counts, strict=True) if count == 1]
    words = f"the graph of {len(names):,} sensors falls into {len(numbers):,} unconnected parts"
    if alone:
        words += f", {len(alone):,} of them one sensor without edges: {printable_few(alone)}"
    return words
