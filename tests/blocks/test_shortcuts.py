import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.blocks import ShortcutA, new_shortcut


def test_option_a_has_no_weights_and_odd_rests_go_behind():
    shortcut = ShortcutA(2, 5, 2)
    assert not list(shortcut.parameters())
    x = torch.arange(18.0).view(1, 2, 3, 3)
    y = shortcut(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, 1].tolist() == [[0, 2], [6, 8]]
    assert y[0, [0, 3, 4]].abs().sum() == 0


@pytest.mark.parametrize("option", ["A", "B"])
def test_equal_shapes_are_passed_on_untouched(option):
    assert isinstance(new_shortcut(4, 4, stride=1, option=option), nn.Identity)


@pytest.mark.parametrize(("option", "out", "stride"), [("B", 6, 2), ("C", 6, 2), ("C", 4, 1)])
def test_a_projection_is_a_convolution_and_a_norm(option, out, stride):
    shortcut = new_shortcut(4, out, stride=stride, option=option).eval()
    x = torch.randn(2, 4, 7, 7)
    expected = F.conv2d(x, shortcut[0].weight, stride=stride) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(shortcut(x), expected)


def test_a_plain_network_has_no_way_around():
    assert new_shortcut(4, 8, stride=2, option="none") is None
