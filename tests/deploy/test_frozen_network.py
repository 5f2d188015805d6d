"""A frozen network answers as the network itself does, whichever runtime is asked."""

import copy

import pytest
import torch

import convatlas as ca
from convatlas.deploy import frozen_network as room
from convatlas.deploy.frozen_network import frozen_network


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    model = ca.create_model("mobilenet_v2_w0.5", num_classes=0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.eval()


@pytest.mark.parametrize("count", [4, 10**9])
def test_features_are_those_of_the_network(backbone, count):
    x, more = torch.rand(4, 3, 64, 64), torch.rand(3, 3, 64, 64)
    before = copy.deepcopy(backbone.state_dict())
    frozen = frozen_network(backbone, x, count)
    assert frozen.torch_s > 0
    with torch.no_grad():
        torch.testing.assert_close(frozen.answer(more), backbone(more), atol=1e-4, rtol=1e-3)
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_without_a_program_torch_answers(backbone, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(room, "_session", refuse)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(x)
    torch.testing.assert_close(
        frozen_network(backbone, x, 10**9).answer(x), expected, atol=1e-4, rtol=1e-3
    )


def test_a_program_that_answers_otherwise_is_not_used(backbone, monkeypatch):
    class Wrong:
        def run(self, _, feed):
            return [torch.ones(len(feed["x"]), 1280).numpy()]

    monkeypatch.setattr(room, "_session", lambda *_: Wrong())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(x)
    torch.testing.assert_close(
        frozen_network(backbone, x, 10**9).answer(x), expected, atol=1e-4, rtol=1e-3
    )
