import pytest
import torch

from convatlas.models.classify.densenet_elastic import ElasticDenseNet, ElasticLayer


def test_counts_are_those_of_the_layers(counted):
    assert counted("densenet201_elastic") == (19_482_824, 4_266_065_536)


def test_layers_are_four_counts():
    blocks = [m for m in ElasticDenseNet(layers=(1, 2, 3, 4)).modules() if hasattr(m, "layers")]
    assert [len(block.layers) for block in blocks] == [1, 2, 3, 4]
    for wrong in ((1, 2, 3), (1, 2, 0, 4)):
        with pytest.raises(ValueError, match="layers must be four counts, got"):
            ElasticDenseNet(layers=wrong)


def test_far_way_of_an_elastic_layer_sees_the_pooled_maps():
    torch.manual_seed(0)
    layer = ElasticLayer(6, 2).eval()
    x = torch.randn(2, 6, 8, 8)
    y = layer.norm(x)
    small = y.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    far = torch.nn.functional.interpolate(layer.far(small), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(layer([x[:, :2], x[:, 2:]]), layer.near(y) + far)
