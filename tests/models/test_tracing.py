"""Tools that stand on a traced graph work on our networks: features by name, quantising."""

import pytest
import torch
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torchvision.models.feature_extraction import create_feature_extractor

from convatlas.models import create_model

slow = pytest.mark.slow


def test_maps_are_extracted_by_the_names_of_layers():
    model = create_model("resnet18", width=0.125, num_classes=5).eval()
    extractor = create_feature_extractor(model, {"stages.3": "middle", "classifier": "logits"})
    x = torch.rand(2, 3, 64, 64)
    maps = extractor(x)
    assert torch.equal(maps["middle"], model.get_submodule("stages")[:4](x))
    assert torch.equal(maps["logits"], model(x))


@pytest.mark.filterwarnings("ignore")  # torch calls these functions old; users still have them
@pytest.mark.parametrize(
    "name",
    ["resnet18", *(pytest.param(n, marks=slow) for n in ("mobilenet_v3_small", "shufflenet_v2"))],
)
def test_a_network_is_quantised_through_its_graph(name):
    torch.manual_seed(0)
    model = create_model(name, width=0.25, num_classes=5).eval()
    x = torch.rand(2, 3, 64, 64)  # torch cannot average quantised maps of one pixel
    prepared = prepare_fx(model, get_default_qconfig_mapping(), (x,))
    with torch.no_grad():
        prepared(x)
        expected = model(x)
        difference = (convert_fx(prepared)(x) - expected).abs().max()
    assert 0 < difference < 0.1 * expected.abs().max()
