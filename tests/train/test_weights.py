import pytest
import torch
from torch import nn

from convatlas.errors import DataError
from convatlas.train.weights import load_weights, save_weights


def network(channels=4):
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.BatchNorm2d(channels))


def test_round_trip_with_running_statistics(tmp_path):
    model, other = network(), network()
    model[1].running_mean.fill_(3.0)
    save_weights(model, tmp_path / "w.safetensors", metadata={"model": "x"})
    load_weights(other, tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(network(4), tmp_path / "w.safetensors", metadata={})
    with pytest.raises(DataError, match="not the weights of this network"):
        load_weights(network(5), tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04K\x01."])
def test_a_damaged_file_or_a_pickle_is_refused_and_not_run(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.safetensors"):
        load_weights(network(), tmp_path / "w.safetensors")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no weights here"):
        load_weights(network(), tmp_path / "w.safetensors")
