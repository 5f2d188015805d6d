"""SpineNet with RetinaNet's head: counts of the sheet, anchors, and images learned by heart."""

import pytest
import torch

from convatlas.atlas.index import read_index
from convatlas.models import create_model
from convatlas.models.detect.spinenet_retinanet import SpineNetRetinaNet
from convatlas.models.on_shapes import on_shapes

# Counted by another build of the paper's table: parameters, and multiply-adds in G to the digit.
COUNTS = {
    "spinenet49s_retinanet": (11_255_565, "30.69"),
    "spinenet49_retinanet": (28_522_638, "85.10"),
    "spinenet96_retinanet": (42_954_126, "264.57"),
    "spinenet143_retinanet": (66_938_766, "522.63"),
    "spinenet190_retinanet": (163_595_870, "1880.2"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference(name):
    entry = read_index()[name]
    params, macs = COUNTS[name]
    digits = len(macs.partition(".")[2])
    assert (entry.params, f"{entry.macs / 1e9:.{digits}f}") == (params, macs)


@pytest.mark.parametrize(("name", "side"), [("49", 3), ("96", 3), ("143", 4), ("190", 4)])
def test_the_smallest_anchors_are_three_or_four_strides_large(name, side):
    with on_shapes():
        model = create_model(f"spinenet{name}_retinanet")
    anchors = model.anchors(256, 256)
    width, height = (anchors[:, 2:] - anchors[:, :2]).T
    squares = width[width == height]
    per_map = [9 * (256 // stride) ** 2 for stride in model.backbone.feature_strides]
    assert len(anchors) == sum(per_map)
    assert squares.min() == side * 8
    last = squares[-3:]  # of the only places of the coarsest map, rounded to whole pixels
    expected = torch.tensor([side * 128 * 2 ** (k / 3) for k in range(3)])
    assert (last - expected).abs().max() <= 1


def test_places_answer_as_often_as_there_are_anchors_at_any_size():
    model = SpineNetRetinaNet(width=0.1, num_classes=2).eval()
    for size in ((64, 64), (70, 131)):
        with torch.no_grad():
            logits, offsets = model(torch.rand(1, 3, *size))
        assert logits.shape[1] == offsets.shape[1] == len(model.anchors(*size))


@pytest.mark.slow
def test_objects_of_three_sizes_are_learned_by_heart(boxes_learned_by_heart):
    torch.manual_seed(0)
    model = SpineNetRetinaNet(width=0.125, num_classes=3, score_threshold=0.2)
    boxes_learned_by_heart(model, size=64, steps=40, rate=5e-3)
