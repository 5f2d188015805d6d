import pytest
import torch
from torch import nn

from convatlas.ops import local_response_norm


@pytest.mark.parametrize("size", [(4,), (2, 3), (1, 2, 3)])
def test_equals_the_papers_formula_one_channel_at_a_time(draw, size):
    x = 30 * draw(2, 7, *size).detach()
    got = local_response_norm(x)
    for c in range(7):
        around = x[:, max(0, c - 2) : min(7, c + 3)].square().sum(1)
        torch.testing.assert_close(got[:, c], x[:, c] / (2 + 1e-4 * around) ** 0.75)


def test_torchs_layer_divides_alpha_by_the_size():
    x = 30 * torch.randn(1, 6, 3, 3)
    torch.testing.assert_close(local_response_norm(x), nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)(x))
    theirs = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(x)
    assert (local_response_norm(x) - theirs).abs().max() > 0.01


def test_gradients(draw):
    def run(x):
        return local_response_norm(x, 3, alpha=0.1)

    assert torch.autograd.gradcheck(run, (draw(1, 4, 3),))


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="neighbours must be odd, got 4"):
        local_response_norm(torch.zeros(1, 4, 2), 4)
    with pytest.raises(ValueError, match=r"must be \(n, c, i…\), got \(1, 4\)"):
        local_response_norm(torch.zeros(1, 4))
