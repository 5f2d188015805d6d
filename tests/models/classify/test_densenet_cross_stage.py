import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.densenet_cross_stage import CSPDenseNet


def test_counts_are_those_of_the_layers(counted):
    assert counted("cspdensenet201_elastic") == (20_251_176, 3_623_422_976)


def test_first_channels_pass_a_stage_by_untouched():
    torch.manual_seed(0)
    block = CSPDenseNet(width=0.25, num_classes=3).eval().stages[1][1]
    x = torch.randn(2, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, :8], x[:, :8])
    torch.testing.assert_close(y[:, 8:], block.through(x[:, 8:]))


@pytest.mark.parametrize("fusion", ["csp", "first", "last"])
def test_fusion_says_where_the_convolutions_between_stages_stand(fusion):
    model = CSPDenseNet(width=0.25, num_classes=3, fusion=fusion).eval()
    before = len(model.stages[1][1].through) - 1  # behind the dense layers of a part
    after = sum(m.kernel_size == (1, 1) for m in _convolutions(model.stages[2][0]))
    assert (before, after) == {"csp": (1, 1), "first": (0, 1), "last": (1, 0)}[fusion]
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 3)


def _convolutions(module):
    return [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]


def test_nothing_passing_by_leaves_the_layers_of_densenet():
    plain = CSPDenseNet(partial=0.0, fusion="first", width=0.25)
    peer = create_model("densenet121", width=0.25)
    shapes = [[tuple(p.shape) for p in m.parameters()] for m in (plain, peer)]
    assert shapes[0] == shapes[1]


def test_impossible_shares_and_fusions_are_refused():
    with pytest.raises(UsageError, match="partial must be from 0 to below 1, got 1"):
        CSPDenseNet(partial=1)
    with pytest.raises(UsageError, match="fusion must be one of csp, first, last, got late"):
        CSPDenseNet(fusion="late")


@pytest.mark.parametrize(("stem_stride", "least"), [(4, 29), (2, 15), (1, 8)])
def test_smallest_image_by_stem(stem_stride, least):
    model = CSPDenseNet(width=0.125, num_classes=3, stem_stride=stem_stride).eval()
    assert model(torch.rand(1, 3, least, least)).shape == (1, 3)
    with pytest.raises(ValueError, match=f"from {least} pixels up"):
        model(torch.rand(1, 3, least, least - 1))
