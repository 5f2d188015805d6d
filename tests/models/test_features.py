import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model

EXPECTED = {
    "resnet18": ([64, 64, 128, 256, 512], [2, 4, 8, 16, 32]),
    "resnet50": ([64, 256, 512, 1024, 2048], [2, 4, 8, 16, 32]),
    "resnet20_cifar": ([16, 32, 64], [1, 2, 4]),
    "mobilenet_v1": ([64, 128, 256, 512, 1024], [2, 4, 8, 16, 32]),
    "mobilenet_v2": ([16, 24, 32, 96, 320], [2, 4, 8, 16, 32]),
    "shufflenet_v2": ([24, 24, 116, 232, 464], [2, 4, 8, 16, 32]),
    "squeezenet": ([96, 256, 512, 512], [2, 4, 8, 16]),
    "squeezenet1_1": ([64, 128, 256, 512], [2, 4, 8, 16]),
    "pydmobilenet29_cifar": ([32, 64, 128], [1, 2, 4]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_maps_have_the_stated_channels_and_strides(name):
    model = create_model(name, features_only=True, in_channels=4).eval()
    channels, strides = EXPECTED[name]
    assert (model.feature_channels, model.feature_strides) == (channels, strides)
    with torch.no_grad():
        maps = model(torch.rand(1, 4, 96, 160))
    assert [m.shape[1] for m in maps] == channels
    for m, stride in zip(maps, strides, strict=True):
        slack = 3 if name.startswith("squeezenet") else 0  # no padding: borders are lost
        assert abs(m.shape[2] - 96 // stride) <= slack
        assert abs(m.shape[3] - 160 // stride) <= slack


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "shufflenet_v2", "squeezenet"])
def test_the_last_map_is_what_the_head_reads(name):
    torch.manual_seed(0)
    model = create_model(name, width=0.25, num_classes=3).eval()
    features = create_model(name, width=0.25, num_classes=3, features_only=True).eval()
    features.load_state_dict(model.state_dict(), strict=False)
    x, seen = torch.rand(1, 3, 64, 64), []
    model.stages.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(x)
    torch.testing.assert_close(features(x)[-1], seen[0])
    assert not any(key.startswith(("classifier", "head")) for key in features.state_dict())


@pytest.mark.parametrize(
    ("name", "options", "strides"),
    [
        ("resnet18", {"stem_stride": 2}, [2, 4, 8, 16]),
        ("resnet18", {"stem_stride": 1}, [1, 2, 4, 8]),
        ("mobilenet_v1", {"stem_stride": 1}, [1, 2, 4, 8, 16]),
        ("mobilenet_v2", {"stem_stride": 1}, [1, 2, 4, 8, 16]),
        ("shufflenet_v2", {"stem_stride": 2}, [2, 4, 8, 16]),
        ("shufflenet_v2", {"stem_stride": 1}, [1, 2, 4, 8]),
        ("squeezenet", {"stem_stride": 2}, [2, 4, 8]),
        ("squeezenet1_1", {"stem_stride": 1}, [1, 2, 4]),
    ],
)
def test_a_smaller_stem_stride_keeps_resolution(name, options, strides):
    assert create_model(name, features_only=True, **options).feature_strides == strides


@pytest.mark.parametrize("name", ["linear_classifier", "lenet5", "lenet5_modern"])
def test_a_network_without_stages_says_so(name):
    with pytest.raises(UsageError, match=f"{name} has no feature maps"):
        create_model(name, features_only=True)
