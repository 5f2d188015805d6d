"""Damaged ONNX files: one sentence that names the file, and not a line of the runtime's own."""

import onnx
import pytest
import torch
from torch import nn

from convatlas.deploy.onnx_file import OnnxFile
from convatlas.deploy.onnx_session import open_session
from convatlas.deploy.runtimes import benchmark_runtimes
from convatlas.errors import ExportError


def doubling(channels=3, kind="Add", **notes):
    """x + x, for float images."""
    image = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, channels, 4, 4])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, channels, 4, 4])
    node = onnx.helper.make_node(kind, ["x", "x"], ["y"])
    graph = onnx.helper.make_graph([node], "doubling", [image], [out])
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.helper.set_model_props(model, notes)
    return model.SerializeToString()


class Doubling(nn.Module):
    def forward(self, x):
        return x + x


DAMAGED = {
    "empty": b"",
    "text": b"version https://git-lfs.github.com/spec/v1",
    "zeros": bytes(1000),
    "cut": doubling()[:-20],
    "letters": doubling().replace(b"Add", b"A\xd7d"),
    "operator": doubling(kind="Adx"),
}


@pytest.fixture(params=list(DAMAGED))
def damaged(request, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(DAMAGED[request.param])
    return path


SENTENCE = (
    r"model\.onnx: damaged, or not a file that ONNX Runtime reads \([^\n]+\); .*writes it again$"
)


def test_damaged_file_is_named_in_one_sentence(damaged, capfd):
    for read in (lambda: open_session(damaged, threads=1), lambda: OnnxFile(damaged)):
        with pytest.raises(ExportError, match=SENTENCE) as caught:
            read()
        assert str(caught.value).count(str(damaged)) == 1
    assert capfd.readouterr() == ("", "")


def test_damaged_file_is_not_raced(damaged):
    with pytest.raises(ExportError, match=SENTENCE):
        benchmark_runtimes(
            Doubling(), (torch.rand(1, 3, 4, 4),), onnx=damaged, threads=1, seconds=0
        )


def test_file_of_another_network_is_not_raced(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling(channels=1))
    with pytest.raises(ExportError, match=SENTENCE):
        benchmark_runtimes(Doubling(), (torch.rand(1, 3, 4, 4),), onnx=path, threads=1, seconds=0)


def test_sound_file_is_raced(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling())
    result = benchmark_runtimes(
        Doubling(), (torch.rand(1, 3, 4, 4),), onnx=path, threads=1, seconds=0
    )
    assert "ONNX Runtime" in [timed.runtime for timed in result.timed if timed.latency]


@pytest.mark.parametrize("classes", [b'["a\xd7"]', b'{"a"]}}'])
def test_damaged_names_of_classes_are_no_crash(tmp_path, classes):
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling(classes="C" * len(classes)).replace(b"C" * len(classes), classes))
    with pytest.raises(ExportError, match=SENTENCE):
        OnnxFile(path).classes  # noqa: B018  the access is what fails
