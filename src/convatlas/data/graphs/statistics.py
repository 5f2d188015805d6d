"""Figures of readings: values and gaps of each sensor."""

import warnings

import numpy as np
from numpy.typing import NDArray

from convatlas.data.graphs.sensor_graph import SensorGraph
from convatlas.data.statistics import Statistics, spread


def series_statistics(
    readings: NDArray[np.float32], graph: SensorGraph | None, unit: str
) -> list[Statistics]:
    """Return the spread of all readings and of what each sensor is like.

    Shape: readings (t, sensors), NaN where there is none
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sensor may have no reading at all
        means, deviations = np.nanmean(readings, 0), np.nanstd(readings, 0)
    missing = np.isnan(readings).mean(0)
    values = {
        f"readings{f' in {unit}' if unit else ''}": readings,
        "mean of a sensor": means,
        "deviation of a sensor": deviations,
        "share missing of a sensor": missing,
    }
    if graph is not None:
        values["neighbours of a sensor"] = np.bincount(
            np.asarray(graph.rows), minlength=readings.shape[1]
        )
    still = int((deviations == 0).sum())
    silent = int((missing == 1).sum())
    said = [f"{still:,} sensors always read the same"] * bool(still)
    said += [f"{silent:,} have no reading at all"] * bool(silent)
    return [spread("sensors", values, "; ".join(said))]
