"""What the context module is for: a class that depends on a mark 20 pixels away."""

import importlib
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.slow
def test_with_dilation_and_the_identity_start_squares_get_the_class_of_a_distant_mark(monkeypatch):
    """The front end alone is at chance, and so is the module with as many layers undilated."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    checks = importlib.import_module("segmentation_checks")
    torch.manual_seed(0)
    (images, masks), (test_images, test_masks) = checks.scenes(256), checks.scenes(64)
    front_end = checks.new_front_end()
    checks.train_on(front_end, images, masks, steps=60)
    with torch.no_grad():
        scores, test_scores = front_end(images), front_end(test_images)
    right = {"front end": checks.right_squares(front_end, test_images, test_masks)}
    for form in ("basic identity", "basic identity undilated"):
        module = checks.new_context(form)
        checks.train_on(module, scores, masks, steps=100)
        right[form] = checks.right_squares(module, test_scores, test_masks)
    assert right["basic identity"] > 0.9
    assert max(right["front end"], right["basic identity undilated"]) < 0.7
