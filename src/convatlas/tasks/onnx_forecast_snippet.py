"""The code that uses an exported forecaster without this library."""

from pathlib import Path

from convatlas.data.graphs.series_data import SeriesFacts

RUNTIME_CODE = """\
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession({file!r})
# The last {history} steps of {sensors} sensors, oldest first; NaN where a reading is missing.
readings = np.load("recent.npz")["readings"][-{history}:].astype(np.float32)
feed = {{"readings": readings[None]}}
{clock}forecast = session.run(None, feed)[0][0]  # {horizon} steps, {sensors} sensors
print(forecast)
"""
CLOCK = """\
clock = np.linspace(0.5, 0.5, {history})  # the time of day of each step: 0.5 is noon
feed["clock"] = clock[None].astype(np.float32)
"""


def forecast_runtime_code(file: Path, facts: SeriesFacts) -> str:
    """Return code for the exported file: ONNX Runtime and numpy are enough."""
    clock = CLOCK.format(history=facts.history) if facts.clock else ""
    return RUNTIME_CODE.format(
        file=str(file),
        history=facts.history,
        horizon=facts.horizon,
        sensors=len(facts.sensors),
        clock=clock,
    )
