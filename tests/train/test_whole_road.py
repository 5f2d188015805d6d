"""From pictures to answers on an accelerator, which is emulated: see `on_accelerator`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "on_accelerator"
ROADS = [str(HERE / name) for name in ("every_network.py", "whole_road.py")]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


@pytest.mark.slow
def test_the_whole_road_and_each_network_on_an_emulated_accelerator():
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(  # torch cannot forget a device that was registered
        [*PYTEST, "-p", "emulated_device", *ROADS],
        env=os.environ | {"PYTHONPATH": path, "ACCELERATE_TORCH_DEVICE": "emulated:0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
