import sys

import numpy as np
import pytest
import torch
from torch import nn

from convatlas.deploy.runtimes import EAGER, _onnx_runtime, benchmark_runtimes, export_plain
from convatlas.errors import ExportError


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    model[1].running_mean.normal_()
    return model.train()


@pytest.mark.slow
def test_runtimes_hold_the_same_network_and_leave_it_as_it_was(network, tmp_path):
    x, path = torch.rand(2, 3, 8, 8), tmp_path / "model.onnx"
    network.eval()
    export_plain(network, (x,), path)
    (answered,) = _onnx_runtime(path, (x,), 1)()
    np.testing.assert_allclose(answered, network(x).detach().numpy(), atol=1e-6)
    network.train()
    before = torch.get_num_threads()
    result = benchmark_runtimes(network, (x,), onnx=path, threads=1, seconds=0.02)
    assert network.training
    assert network[0].weight.is_contiguous()
    assert torch.get_num_threads() == before
    assert result.threads == 1
    first, *others = result.timed
    assert (first.runtime, first.speed, first.latency.batch) == (EAGER, 1, 2)
    for timed in others:
        assert (timed.latency is None) == (timed.why is not None)


@pytest.mark.slow
def test_runtime_that_is_not_installed_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = benchmark_runtimes(network, (torch.rand(1, 3, 8, 8),), seconds=0.01)
    (absent,) = [timed for timed in result.timed if timed.runtime == "OpenVINO"]
    assert absent.why == "not installed: pip install openvino"
    assert absent.to_dict()["latency_s"] is None


@pytest.mark.slow
def test_compiled_network_is_timed_or_the_reason_given(network):
    result = benchmark_runtimes(network, (torch.rand(1, 3, 8, 8),), seconds=0.01, compiled=True)
    (row,) = [timed for timed in result.timed if timed.runtime == "torch.compile"]
    assert row.latency or row.why.startswith("does not compile here: ")


@pytest.mark.slow
def test_network_without_an_onnx_form_is_named(tmp_path):
    class Inverse(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x)

    with pytest.raises(ExportError, match="Inverse: has no ONNX form"):
        export_plain(Inverse(), (torch.eye(3)[None],), tmp_path / "model.onnx")
