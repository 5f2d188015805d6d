"""Join sensors whose series are alike, by dynamic time warping: a graph without a map.

Source: Yu, Li, Zhang, Zhu, 2019, arXiv:1903.00919. The paper's normalisation and threshold could
    not be read; chosen here: average days standardised for each sensor, a band of an hour, the ten
    nearest of each sensor, exp(-d^2 / sigma^2) with sigma the standard deviation of all distances.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from convatlas.data.graphs.sensor_graph import SensorGraph, from_pairs
from convatlas.ops.time_warping import AT_ONCE, time_warping

NEIGHBOURS = 10
BAND_FRACTION = 1 / 24  # of the profile: an hour of a day
MAX_PROFILE = 288  # points; a longer profile is averaged down to it
ALL_PAIRS = 1000  # sensors up to which each pair is compared; of more, only near ones by Euclid
SHORTLIST = 3 * NEIGHBOURS
MIN_WEIGHT = 0.1  # so that a far sensor keeps its neighbours


def similar_series_graph(profiles: NDArray, *, neighbours: int = NEIGHBOURS) -> SensorGraph:
    """Return the graph of each series' nearest ones by time warping, symmetrised.

    Args:
        profiles: a usual course of each sensor, such as its average day, without gaps.

    Shape: (sensors, t)

    Cost: each pair is warped up to 1,000 sensors; of more, the 30 nearest by Euclid of each, so
        that time and memory grow with the number of sensors and not with its square.
    """
    series = _standardised(_shortened(profiles))
    sensors = len(series)
    low, high = _pairs(series)
    if not len(low):
        return from_pairs(low, high, np.zeros(0), sensors)
    band = max(1, round(series.shape[1] * BAND_FRACTION))
    table = torch.from_numpy(series)
    distances = np.concatenate(
        [
            time_warping(table[low[s : s + AT_ONCE]], table[high[s : s + AT_ONCE]], band=band)
            for s in range(0, len(low), AT_ONCE)
        ]
    )
    kept = _nearest(low, high, distances, sensors, neighbours)
    sigma = float(distances.std()) or 1.0
    weights = np.exp(-np.square(distances[kept] / sigma)).clip(min=MIN_WEIGHT)
    return from_pairs(low[kept], high[kept], weights, sensors)


def _nearest(
    low: NDArray, high: NDArray, distances: NDArray, sensors: int, neighbours: int
) -> NDArray:
    """Return places of the pairs that are among the nearest of either sensor."""
    ends, pair = np.concatenate([low, high]), np.tile(np.arange(len(low)), 2)
    order = np.lexsort((np.tile(distances, 2), ends))
    first = np.searchsorted(ends[order], np.arange(sensors))
    rank = np.arange(len(order)) - first[ends[order]]
    return np.unique(pair[order][rank < neighbours])


def _pairs(series: NDArray) -> tuple[NDArray, NDArray]:
    """Return the pairs to compare, each once. Shape: (pairs,), (pairs,)"""
    sensors = len(series)
    if sensors <= ALL_PAIRS:
        return np.triu_indices(sensors, 1)
    squares, keys = np.square(series).sum(1), []
    for start in range(0, sensors, 512):
        part = series[start : start + 512]
        far = squares[start : start + 512, None] + squares - 2 * part @ series.T
        far[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        near = np.argpartition(far, SHORTLIST, axis=1)[:, :SHORTLIST]
        own = np.repeat(np.arange(start, start + len(part)), SHORTLIST)
        low, high = np.minimum(own, near.ravel()), np.maximum(own, near.ravel())
        keys.append(low * sensors + high)
    found = np.unique(np.concatenate(keys))
    return found // sensors, found % sensors


def _shortened(profiles: NDArray) -> NDArray:
    step = -(-profiles.shape[1] // MAX_PROFILE)
    whole = profiles.shape[1] // step * step
    return profiles[:, :whole].reshape(len(profiles), -1, step).mean(2)


def _standardised(series: NDArray) -> NDArray:
    std = series.std(1, keepdims=True)
    return (series - series.mean(1, keepdims=True)) / np.where(std > 0, std, 1)
