import torch

from convatlas.models.classify.densenet_cross_stage import CSPDenseNet
from convatlas.models.classify.densenet_elastic import ElasticLayer


def test_counts_are_those_of_the_layers(counted):
    assert counted("densenet201_elastic") == (19_482_824, 4_266_065_536)
    assert counted("cspdensenet201_elastic") == (20_251_176, 3_623_422_976)


def test_first_channels_pass_a_stage_by_untouched():
    torch.manual_seed(0)
    block = CSPDenseNet(width=0.25, num_classes=3).eval().stages[1][1]
    x = torch.randn(2, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, :8], x[:, :8])
    torch.testing.assert_close(y[:, 8:], block.through(x[:, 8:]))


def test_far_way_of_an_elastic_layer_sees_the_pooled_maps():
    torch.manual_seed(0)
    layer = ElasticLayer(6, 2).eval()
    x = torch.randn(2, 6, 8, 8)
    y = layer.norm(x)
    small = y.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    far = torch.nn.functional.interpolate(layer.far(small), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(layer([x[:, :2], x[:, 2:]]), layer.near(y) + far)
