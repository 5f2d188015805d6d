"""For every test: one CPU thread a process, as the suite runs in two processes on two cores."""

import functools
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for what the tests start as a process of its own

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Start the longest test first, so that no worker waits at the end for the other."""
    items.sort(key=lambda item: item.path.name != "test_whole_road.py")


@pytest.fixture(scope="session")
def onnx_operators_read_once():
    """Torch reads the table of ONNX operators anew for every file; here once for all of them."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    patch = pytest.MonkeyPatch()
    once = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
    patch.setattr(ONNXRegistry, "from_torchlib", once)
    yield
    patch.undo()
