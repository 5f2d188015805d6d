import math

import pytest
import torch

from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.parity import Parity

EXPECTED = torch.tensor([[0.7, 0.2, 0.1], [0.49995, 0.50005, 0.0], [0.1, 0.1, 0.8]])


def compare(expected, answered, tolerance):
    classifier = ImageClassifier(Preprocess(1, 8, [0.1], [0.3]), torch.nn.Identity())
    agreement = classifier.compare(expected, answered, tolerance)
    return Parity(
        format="onnx",
        samples=len(expected),
        max_difference=agreement.difference,
        agreement=agreement.share,
        tolerance=tolerance,
        runtime="slow",
    )


def parity(answered, tolerance=1e-3) -> Parity:
    return compare(EXPECTED, answered, tolerance)


def test_equal_answers_hold():
    found = parity(EXPECTED.clone())
    assert found.passed
    assert (found.samples, found.max_difference, found.agreement) == (3, 0, 1)


def test_the_largest_difference_counts_whatever_its_sign():
    answered = EXPECTED.clone()
    answered[2] = torch.tensor([0.1, 0.15, 0.75])
    assert parity(answered).max_difference == pytest.approx(0.05, rel=1e-5)
    assert not parity(answered).passed


def test_a_tie_within_the_tolerance_may_fall_either_way():
    answered = EXPECTED.clone()
    answered[1] = torch.tensor([0.50005, 0.49995, 0.0])
    assert parity(answered).passed
    assert parity(answered, tolerance=5e-5).agreement == pytest.approx(2 / 3)


def test_another_class_is_no_agreement():
    answered = EXPECTED.clone()
    answered[0] = torch.tensor([0.2, 0.7, 0.1])
    assert parity(answered, tolerance=0.4).agreement == pytest.approx(2 / 3)


def test_a_difference_within_the_tolerance_does_not_excuse_another_class():
    found = compare(torch.tensor([[0.6, 0.4]]), torch.tensor([[0.45, 0.55]]), 0.16)
    assert found.max_difference <= 0.16
    assert not found.passed


def test_answers_that_are_not_numbers_fail():
    found = parity(torch.full_like(EXPECTED, math.nan))
    assert not found.passed


def test_the_figures_are_named():
    said = parity(EXPECTED.clone()).figures()
    assert said == ("same top-1 on 100.00% of 3 images, largest difference 0 (allowed 0.001), slow")


def test_the_parity_of_an_older_run_is_read():
    stored = parity(EXPECTED.clone()).model_dump()
    stored["top1_agreement"] = stored.pop("agreement")
    del stored["decision"], stored["items"]
    assert Parity.model_validate(stored) == parity(EXPECTED.clone())
