"""Shapes and comparisons that the kernel tests share."""

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
