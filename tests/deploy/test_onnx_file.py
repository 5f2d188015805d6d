import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from convatlas.data.images.open import open_images
from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import OnnxFile, export_onnx, run_onnx
from convatlas.deploy.parity import check_parity
from convatlas.errors import ExportError, WriteError
from convatlas.models import create_model

ODD = [(24, 24), (37, 53), (1, 1), (300, 200), (7, 9)]


@pytest.fixture
def copy(exported, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(exported.read_bytes())
    return path


@pytest.mark.slow
def test_the_file_answers_the_same_at_any_size(exported, build, images):
    parity = check_parity(build(), exported, images(*ODD, each=3))
    assert parity.passed
    assert parity.samples == 15
    assert parity.max_difference < 1e-5
    assert parity.agreement == 1
    assert onnxruntime.__version__ in parity.runtime


@pytest.mark.slow
def test_any_runtime_user_can_read_it_without_this_package(exported, build, images):
    session = onnxruntime.InferenceSession(str(exported))
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["n", "h", "w", 3])
    (output,) = session.get_outputs()
    assert output.name == "probabilities"
    photos = torch.stack(images((31, 17), each=4))
    (answered,) = session.run(None, {"image": photos.numpy()})
    np.testing.assert_allclose(answered, build().predict(list(photos)).numpy(), atol=1e-5)
    np.testing.assert_allclose(answered.sum(1), 1, atol=1e-5)


@pytest.mark.slow
def test_names_and_notes_come_back_as_they_were(exported, classes):
    file = OnnxFile(exported)
    assert file.classes == classes
    assert file.metadata["model"] == "mixed ✓"


@pytest.mark.slow
def test_the_file_is_single_folded_and_holds_no_source_paths(exported):
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(exported)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    content = exported.read_bytes()
    assert b"site-packages" not in content
    assert os.path.dirname(__file__).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["mean", "order"])
def test_a_file_that_prepares_images_otherwise_fails_the_proof(copy, build, images, broken):
    classifier = build(mean=0.45 if broken == "mean" else 0.4)
    if broken == "order":
        classifier.network.codes.data = classifier.network.codes.data.flip(0)
    with pytest.raises(
        ExportError, match=r"got same top-1 on .* difference 0\.\d+ .*kept as model.onnx.failed"
    ):
        check_parity(classifier, copy, images((24, 24), each=8))
    assert [path.name for path in copy.parent.iterdir()] == ["model.onnx.failed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "shufflenet_v2"])
def test_networks_of_the_atlas_on_real_digits(tmp_path, name, capfd):
    torch.manual_seed(0)
    network = create_model(name, num_classes=10, in_channels=1).train()
    classifier = ImageClassifier(
        Preprocess(1, 32, [0.13], [0.31]), network, list("0123456789"), (28, 28)
    )
    test = open_images("digits").splits["test"].subset(range(100))
    digits = [test.read(i).permute(1, 2, 0) for i in range(len(test))]
    path = tmp_path / "digits.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(classifier, path, metadata={})
    assert check_parity(classifier, path, digits).passed
    assert network.training  # as it was
    weights = 4 * sum(p.numel() for p in network.parameters())
    assert path.stat().st_size < 1.1 * weights
    assert capfd.readouterr() == ("", "")


class Fixed(nn.Module):
    """A network that only takes batches of two."""

    def forward(self, x):
        if len(x) != 2:
            raise ValueError("batches of two only")
        return x.flatten(1)[:, :5]


class Unknown(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x):
        return torch.linalg.eigvals(x.mean(1)).real


@pytest.mark.slow
@pytest.mark.parametrize("network", [Fixed(), Unknown()])
def test_a_network_without_onnx_form_is_named_and_nothing_is_left(tmp_path, network):
    classifier = ImageClassifier(Preprocess(1, 8, [0.1], [0.3]), network)
    with pytest.raises(ExportError, match=rf"{type(network).__name__}: has no ONNX form: \S"):
        export_onnx(classifier, tmp_path / "a.onnx", metadata={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_folder_that_is_not_there_is_named(tmp_path, build):
    path = tmp_path / "missing" / "a.onnx"
    with pytest.raises(WriteError, match="cannot be written: No such file or directory"):
        export_onnx(build(), path, metadata={})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"none\.onnx: no such file"):
        run_onnx(tmp_path / "none.onnx", [])


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 40])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"text\.onnx: "):
        OnnxFile(path)


def test_a_model_of_another_origin_names_no_classes(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [other])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "m.onnx"
    )
    with pytest.raises(ExportError, match="must name its classes"):
        OnnxFile(tmp_path / "m.onnx").classes  # noqa: B018  the access is what fails


def test_onnx_runtime_is_loaded_only_when_asked_for():
    import subprocess

    # Each takes as long to import as torch itself.
    late = {"onnxruntime", "torch._dynamo"}
    code = f"import sys, convatlas.deploy.onnx_file; assert not {late} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
