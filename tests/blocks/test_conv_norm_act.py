import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import ConvNormAct


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, (1, 7), (5, 3)])
@pytest.mark.parametrize("size", [7, 8])
def test_one_line_equals_its_three_steps(kernel, stride, size):
    torch.manual_seed(0)
    block = ConvNormAct(4, 6, kernel, stride=stride, groups=2, norm_eps=1e-3).double()
    padding = [side // 2 for side in block[0].weight.shape[2:]]
    x = torch.randn(3, 4, size, size, dtype=torch.float64)
    filtered = F.conv2d(x, block[0].weight, stride=stride, padding=padding, groups=2)
    mean = filtered.mean((0, 2, 3), keepdim=True)
    variance = filtered.var((0, 2, 3), correction=0, keepdim=True)
    expected = ((filtered - mean) / (variance + 1e-3).sqrt()).clamp(min=0)
    torch.testing.assert_close(block(x), expected)
    assert block(x).shape[2] == -(-size // stride)


def test_no_activation_leaves_the_output_linear():
    torch.manual_seed(0)
    assert (ConvNormAct(2, 2, act=None)(torch.randn(2, 2, 5, 5)) < 0).any()


def test_the_convolution_can_be_of_another_class():
    class Doubled(torch.nn.Conv2d):
        def forward(self, input):
            return 2 * super().forward(input)

    torch.manual_seed(0)
    block = ConvNormAct(3, 4, act=None, conv=Doubled).double().eval()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    expected = 2 * F.conv2d(x, block[0].weight, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), expected)
