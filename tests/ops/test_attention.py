import math

import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import attend


def test_equals_the_sum_one_pair_at_a_time(draw):
    source, target = draw(2, 4, 3).detach(), draw(2, 5, 3).detach()
    got = attend(source, target)
    for n in range(2):
        for i in range(5):
            weights = [math.exp(float(target[n, i] @ source[n, j]) / 3**0.5) for j in range(4)]
            expected = sum(w * source[n, j] for j, w in enumerate(weights)) / sum(weights)
            torch.testing.assert_close(got[n, i], expected)


def test_torchs_attention_agrees(draw):
    source, target = draw(2, 4, 3), draw(2, 5, 3)
    expected = F.scaled_dot_product_attention(target, source, source)
    torch.testing.assert_close(attend(source, target), expected)


def test_the_scale_outside_is_the_printed_slip_and_another_function(draw):
    source, target = draw(1, 4, 3), draw(1, 5, 3)
    printed = attend(source, target, scale_outside=True)
    scores = target @ source.transpose(1, 2)
    torch.testing.assert_close(printed, scores.softmax(2) @ source / 3**0.5)
    assert (printed - attend(source, target)).abs().max() > 0.01


def test_padding_of_the_source_is_not_read(draw):
    source, target = draw(1, 4, 3), draw(1, 5, 3)
    present = torch.tensor([[True, True, False, True]])
    short = attend(source[:, [0, 1, 3]], target)
    torch.testing.assert_close(attend(source, target, present=present), short)


def test_gradients_and_cost(draw):
    source, target = draw(2, 4, 3), draw(2, 5, 3)
    assert torch.autograd.gradcheck(attend, (source, target))
    assert cost.macs(attend, source, target) == 2 * (2 * 5 * 4 * 3)


def test_sizes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="must have one n and depth"):
        attend(torch.zeros(1, 4, 3), torch.zeros(1, 5, 2))
    with pytest.raises(ValueError, match=r"present must be \(1, 4\), got \(1, 5\)"):
        attend(torch.zeros(1, 4, 3), torch.zeros(1, 5, 3), present=torch.ones(1, 5))
