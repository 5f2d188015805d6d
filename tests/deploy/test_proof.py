import math

import pytest
import torch

from convatlas.deploy.proof import Proof, compare

EXPECTED = torch.tensor([[0.7, 0.2, 0.1], [0.49995, 0.50005, 0.0], [0.1, 0.1, 0.8]])


def proof(answered, tolerance=1e-3) -> Proof:
    return compare(EXPECTED, answered, tolerance=tolerance, format="onnx", runtime="slow")


def test_equal_answers_hold():
    found = proof(EXPECTED.clone())
    assert found.holds
    assert (found.samples, found.max_difference, found.top1_agreement) == (3, 0, 1)


def test_the_largest_difference_counts_whatever_its_sign():
    answered = EXPECTED.clone()
    answered[2] = torch.tensor([0.1, 0.15, 0.75])
    assert proof(answered).max_difference == pytest.approx(0.05, rel=1e-5)
    assert not proof(answered).holds


def test_a_tie_within_the_tolerance_may_fall_either_way():
    answered = EXPECTED.clone()
    answered[1] = torch.tensor([0.50005, 0.49995, 0.0])
    assert proof(answered).holds
    assert proof(answered, tolerance=5e-5).top1_agreement == pytest.approx(2 / 3)


def test_another_class_is_no_agreement():
    answered = EXPECTED.clone()
    answered[0] = torch.tensor([0.2, 0.7, 0.1])
    assert proof(answered, tolerance=0.4).top1_agreement == pytest.approx(2 / 3)


def test_a_difference_within_the_tolerance_does_not_excuse_another_class():
    found = compare(
        torch.tensor([[0.6, 0.4]]),
        torch.tensor([[0.45, 0.55]]),
        tolerance=0.16,
        format="",
        runtime="",
    )
    assert found.max_difference <= 0.16
    assert not found.holds


def test_answers_that_are_not_numbers_fail():
    found = proof(torch.full_like(EXPECTED, math.nan))
    assert not found.holds


def test_the_figures_are_named():
    said = proof(EXPECTED.clone()).figures()
    assert said == ("largest difference 0 (at most 0.001), same top-1 on 100.00% of 3 images, slow")
