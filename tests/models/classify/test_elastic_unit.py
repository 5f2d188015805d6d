import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.models.classify.cspnet import CSPDarknet, CSPResNet
from convatlas.models.classify.elastic_unit import ElasticUnit


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1), (1, 4)])
def test_unit_equals_a_plain_second_computation(size):
    torch.manual_seed(0)
    unit = ElasticUnit(4, lambda c: nn.Conv2d(c, c, 3, padding=1), nn.ReLU()).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    (h, w), padded = size, F.pad(x[:, 2:], (0, size[1] % 2, 0, size[0] % 2), value=-torch.inf)
    small = torch.stack([padded[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    far = unit.far(small).repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :h, :w]
    expected = (x + torch.cat([unit.near(x[:, :2]), far], 1)).relu()
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("cls", [CSPDarknet, CSPResNet])
@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_elastic_networks_take_any_size(cls, size):
    model = cls(elastic=True, width=0.125, num_classes=3).eval()
    assert model(torch.rand(1, 3, *size)).isfinite().all()
