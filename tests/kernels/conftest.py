"""Shapes and comparisons that the kernel tests share."""

from contextlib import contextmanager

import pytest
import torch

pytest.importorskip("numba", reason="the kernels are compiled by numba, an extra")


@pytest.fixture(autouse=True)
def _same_numbers():
    torch.manual_seed(0)


@pytest.fixture
def relative_error():
    """The largest difference, relative to the largest number of the reference."""

    def error(found, expected):
        scale = expected.abs().max().clamp_min(1e-30)
        return ((found.double() - expected).abs().max() / scale).item()

    return error


@pytest.fixture
def strips_for(monkeypatch):
    """Returns a context in which strips are as wide as some numbers in `tile_sizes` say.

    Each width of strips is compiled, so tests of many maps choose one.
    """
    from convatlas.kernels.launch import depthwise_layer
    from convatlas.kernels.layout import plan, tile_sizes, variants

    def forget():
        for known in (plan.plan, variants.plans_of, depthwise_layer._layer):
            known.cache_clear()

    @contextmanager
    def changed(**numbers):
        with monkeypatch.context() as patch:
            for name, value in numbers.items():
                patch.setattr(tile_sizes, name, value)
            forget()
            yield
        forget()

    return changed
