import pytest
import torch
from torch import nn

from convatlas.blocks import draw_he_normal


@pytest.mark.parametrize(("kernel", "groups"), [(1, 1), (3, 1), (3, 64)])
def test_variance_is_two_over_the_fan_out(kernel, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, kernel, groups=groups, bias=False)
    draw_he_normal(nn.Sequential(conv))
    # torch's fan-out is that of the weight's first dimension, groups left out of account.
    assert conv.weight.var().item() == pytest.approx(2 / (64 * kernel**2), rel=0.15)
