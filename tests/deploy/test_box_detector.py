"""Boxes come back in pixels of the image, and an exported file finds the same ones."""

import pytest
import torch

from convatlas.data import Preprocess
from convatlas.deploy.detector import BoxDetector
from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.deploy.parity import check_parity
from convatlas.models.detect.detector import Detector
from convatlas.models.detect.found import Found
from convatlas.models.detect.ssdlite import SSDLite


class Corner(Detector):
    """Finds one box: the left upper quarter of what it is shown."""

    max_detections = 1

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def detect(self, images):
        height, width = images.shape[-2:]
        box = torch.tensor([[[0.0, 0, width / 2, height / 2]]]) * self.scale
        count = len(images)
        labels = torch.zeros(count, 1, dtype=torch.int64)
        return box.expand(count, 1, 4), torch.ones(count, 1), labels


def prepare(size):
    return Preprocess(3, size, [0.5] * 3, [0.5] * 3)


def test_boxes_are_in_pixels_of_each_image():
    predictor = BoxDetector(prepare(32), Corner(), ["thing"])
    shapes = [(40, 60, 3), (200, 10, 3), (40, 60, 3)]
    found = predictor.predict([torch.zeros(s, dtype=torch.uint8) for s in shapes])
    for (height, width, _), each in zip(shapes, found, strict=True):
        torch.testing.assert_close(each.boxes, torch.tensor([[0.0, 0, width / 2, height / 2]]))


def test_cropped_or_padded_images_are_refused():
    with pytest.raises(ValueError, match="must be stretched"):
        BoxDetector(prepare(32).letterboxed(), Corner())


def found(*rows):
    boxes = torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4)
    scores, labels = (torch.tensor([row[i] for row in rows]) for i in (1, 2))
    return Found(boxes, scores, labels)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (found(([0, 0, 20, 20], 0.9, 0), ([40, 40, 60, 60], 0.1, 1)), True),
        (found(([0, 0, 20, 20], 0.9, 1)), False),  # another class
        (found(([5, 5, 25, 25], 0.9, 0)), False),  # elsewhere
        (found(([0, 0, 20, 20], 0.9, 0), ([40, 40, 60, 60], 0.8, 1)), False),  # one more
        (found(([0, 0, 20, 20], float("nan"), 0)), False),
    ],
)
def test_what_both_must_find_decides_whether_they_agree(other, same):
    predictor = BoxDetector(prepare(32), Corner())
    ours = found(([0, 0, 20, 20], 0.9, 0))
    agreement = predictor.compare([ours], [other], 1e-4)
    assert agreement.share == same
    moved = found(([0, 0, 20, 20.01], 0.9001, 0))
    assert 1e-5 < predictor.compare([ours], [moved], 1e-4).difference < 1e-3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_exported_file_finds_the_same_boxes_on_images_of_any_size(tmp_path):
    torch.manual_seed(0)
    network = SSDLite.tiny()[0].eval()
    for head in network.class_heads:  # answers that differ from place to place
        torch.nn.init.normal_(head[1].weight, std=1.0)
        torch.nn.init.normal_(head[1].bias, std=1.0)
    predictor = BoxDetector(prepare(64), network, list("abcde"), (40, 50)).eval()
    path = tmp_path / "model.onnx"
    export_onnx(predictor, path, metadata={})
    shapes = [(40, 50, 3), (40, 50, 3), (90, 31, 3), (64, 64, 3), (1, 1, 3)]
    images = [torch.randint(0, 256, s, dtype=torch.uint8) for s in shapes]
    boxes = predictor.predict(images)
    assert all((each.scores > 0.05).sum() > 1 for each in boxes)
    assert check_parity(predictor, path, images).passed
    file = OnnxFile(path)
    assert file.classes == list("abcde")
    assert file.outputs == ["boxes", "scores", "labels"]
