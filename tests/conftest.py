"""For every test: one CPU thread a process, as the suite runs in two processes on two cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for what the tests start as a process of its own

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Start the longest test first, so that no worker waits at the end for the other."""
    items.sort(key=lambda item: item.path.name != "test_whole_road.py")


@pytest.fixture(scope="session", autouse=True)
def winners_are_timed_briefly():
    """A run times its network for two seconds at its end; no test asserts what it finds."""
    from convatlas.pipeline import keeping

    keeping.LATENCY_SECONDS = 0.2
