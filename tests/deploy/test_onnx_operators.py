"""Operators of our own give the same from an exported file, whatever the number of boxes."""

from types import MappingProxyType

import pytest
import torch

from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.deploy.onnx_operators import translations
from convatlas.deploy.predictor import Agreement, Predictor
from convatlas.models.detect.select_boxes import kept_boxes

IOU, SCORE = 0.4, 0.2


class Suppressed(Predictor):
    """Marks the boxes that no better one covers."""

    inputs = MappingProxyType({"boxes": {0: "n", 1: "c"}, "scores": {0: "n", 1: "c"}})
    outputs = ("kept",)
    metadata = MappingProxyType({})
    items = "boxes"
    decision = "the same boxes"

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Identity()

    def forward(self, boxes, scores):
        return torch.ops.convatlas.kept_boxes(boxes, self.network(scores), IOU, SCORE)

    def example(self, batch=2):
        return drawn(batch, 5)

    def compare(self, expected, answered, tolerance):
        return Agreement(float((expected == answered).float().mean()), 0.0)


def drawn(items, count):
    random = torch.Generator().manual_seed(count)
    corner = 30 * torch.rand(items, count, 2, generator=random)
    sides = 5 + 25 * torch.rand(items, count, 2, generator=random)
    return torch.cat((corner, corner + sides), 2), torch.rand(items, count, generator=random)


def overlap(a, b):
    width, height = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    common = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / (sum(areas) - common)


def plain(boxes, scores):
    """Each box, best first, unless it overlaps one that has been kept."""
    kept = [[False] * len(row) for row in scores.tolist()]
    for marks, found, score in zip(kept, boxes.tolist(), scores.tolist(), strict=True):
        for place in sorted(range(len(score)), key=lambda k: -score[k]):
            others = [other for other, mark in zip(found, marks, strict=True) if mark]
            free = all(overlap(found[place], other) <= IOU for other in others)
            marks[place] = free and score[place] > SCORE
    return torch.tensor(kept)


@pytest.mark.filterwarnings("ignore")
def test_an_exported_suppression_keeps_the_same_boxes(tmp_path):
    export_onnx(Suppressed(), tmp_path / "kept.onnx", metadata={})
    file = OnnxFile(tmp_path / "kept.onnx")
    seen = set()
    for items, count in ((1, 1), (2, 5), (3, 40)):
        boxes, scores = drawn(items, count)
        for each in (scores, scores * 0):  # none scores enough
            expected = plain(boxes, each)
            assert torch.equal(kept_boxes(boxes, each, IOU, SCORE), expected)
            assert torch.equal(file.run(boxes, each), expected)
            seen |= set(expected.flatten().tolist())
    assert seen == {True, False}


class Norm(torch.nn.Module):
    """A norm after which something else stands, so that folding leaves it."""

    def __init__(self, **options):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3, eps=0.01, **options)

    def forward(self, x):
        return torch.square(self.norm(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("learned", [True, False], ids=["by what it learned", "by the batch"])
def test_a_norm_alone_and_a_square_are_written_as_they_are(affine, learned, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = Norm(affine=affine, track_running_stats=learned)
    x = 2 + 3 * torch.randn(4, 3, 5, 6)
    network.train()(x)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        expected = network.eval()(x)
    program = torch.onnx.export(
        network, (x,), dynamo=True, verbose=False, custom_translation_table=dict(translations())
    )
    kinds = {node.op_type for node in program.model_proto.graph.node}
    assert {"BatchNormalization", "Mul"} <= kinds
    program.save(tmp_path / "norm.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "norm.onnx")
    (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-4, atol=1e-4)
