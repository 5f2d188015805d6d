import importlib
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model, find_entry, model_names
from convatlas.models.segment.lraspp import COARSE, LRASPP

EXPECTED = {
    "resnet18": ([64, 64, 128, 256, 512], [2, 4, 8, 16, 32]),
    "resnet50": ([64, 256, 512, 1024, 2048], [2, 4, 8, 16, 32]),
    "resnet20_cifar": ([16, 32, 64], [1, 2, 4]),
    "mobilenet_v1": ([64, 128, 256, 512, 1024], [2, 4, 8, 16, 32]),
    "mobilenet_v2": ([16, 24, 32, 96, 320], [2, 4, 8, 16, 32]),
    "mobilenet_v3_large": ([16, 24, 40, 112, 160], [2, 4, 8, 16, 32]),
    "shufflenet_v1_g3": ([24, 24, 240, 480, 960], [2, 4, 8, 16, 32]),
    "shufflenet_v2": ([24, 24, 116, 232, 464], [2, 4, 8, 16, 32]),
    "squeezenet": ([96, 256, 512, 512], [2, 4, 8, 16]),
    "squeezenet1_1": ([64, 128, 256, 512], [2, 4, 8, 16]),
    "squeezenext23": ([64, 32, 64, 128, 256], [2, 4, 8, 16, 32]),
    "pydmobilenet29_cifar": ([32, 64, 128], [1, 2, 4]),
    "efficientnet_b0": ([16, 24, 40, 112, 320], [2, 4, 8, 16, 32]),
    "mnasnet_small": ([8, 16, 16, 32, 144], [2, 4, 8, 16, 32]),
    "fbnet_a": ([16, 24, 32, 112, 352], [2, 4, 8, 16, 32]),
    "fbnet_96_0.35_1": ([8, 16, 16, 40, 128], [2, 4, 8, 16, 32]),
}
TIMM = {  # our name: timm's, where both end a stage at the same layer
    "densenet121": "densenet121",
    "densenet161": "densenet161",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b4": "efficientnet_b4",
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "fbnet_c": "fbnetc_100",
    "mnasnet_a1": "semnasnet_100",
    "mnasnet_b1": "mnasnet_100",
    "mnasnet_small": "mnasnet_small",
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v2_w0.5": "mobilenetv2_050",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50_32x4d": "resnext50_32x4d",
    "se_resnet50": "seresnet50",
    "senet154": "legacy_senet154",
    "vgg11": "vgg11",
    "vgg16_bn": "vgg16_bn",
    "wide_resnet50_2": "wide_resnet50_2",
}
SAME_MAPS = {  # name: its family's translation of layer names, and options of the peer
    "efficientnet_b0": ("efficientnet", {"norm_eps": 1e-5}),
    "fbnet_c": ("fbnet", {}),
    "mnasnet_small": ("mnasnet", {"norm_eps": 1e-5}),
    "mobilenet_v2_w0.5": ("mobilenet_v2", {}),
    "resnet18": ("resnet", {}),
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
        slack = 3 if name.startswith("squeezene") else 0  # no padding: borders are lost
        assert abs(m.shape[2] - 96 // stride) <= slack
        assert abs(m.shape[3] - 160 // stride) <= slack


@pytest.mark.parametrize("name", TIMM)
def test_channels_and_strides_are_those_of_timm(name):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        ours = create_model(name, features_only=True)
        theirs = timm.create_model(TIMM[name], features_only=True).feature_info
    assert ours.feature_channels == theirs.channels()
    assert ours.feature_strides == theirs.reduction()


def test_the_last_map_of_mobilenet_v3_is_before_the_head_that_timm_counts_to_its_stages():
    timm = pytest.importorskip("timm")
    for form in ("large", "small"):
        with torch.device("meta"):
            ours = create_model(f"mobilenet_v3_{form}", features_only=True)
            peer = timm.create_model(f"mobilenetv3_{form}_100", features_only=True).feature_info
        assert ours.feature_strides == peer.reduction()
        assert ours.feature_channels[:-1] == peer.channels()[:-1]
        assert 6 * ours.feature_channels[-1] == peer.channels()[-1]


@pytest.mark.parametrize("name", SAME_MAPS)
def test_maps_are_those_of_timm(name):
    timm = pytest.importorskip("timm")
    family, options = SAME_MAPS[name]
    keys = importlib.import_module(f"convatlas.pretrained.keys.{family}")
    torch.manual_seed(0)
    peer = timm.create_model(TIMM[name], features_only=True)
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.2)
    ours = create_model(name, features_only=True, **options).eval()
    paths, shapes, state = dict(keys.timm_paths(create_model(name))), ours.state_dict(), {}
    for key, value in peer.state_dict().items():
        module, _, tensor = key.rpartition(".")
        path = f"{paths[module]}.{tensor}"
        if path in shapes:  # else a layer of the head
            state[path] = value.reshape(shapes[path].shape)
    ours.load_state_dict(state, strict=True)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for got, expected in zip(ours(x), peer.eval()(x), strict=True):
            assert expected.std() > 0
            assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("training", [True, False])
def test_building_leaves_the_mode_and_the_statistics_as_they_were(training):
    features = create_model("efficientnet_b0", width=0.25, features_only=True).train(training)
    assert all(module.training == training for module in features.modules())
    norms = [m for m in features.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)


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
        ("efficientnet_b0", {"stem_stride": 1}, [1, 2, 4, 8, 16]),
        ("mnasnet_a1", {"stem_stride": 1}, [1, 2, 4, 8, 16]),
        ("fbnet_a", {"stem_stride": 1}, [1, 2, 4, 8, 16]),
        ("squeezenet", {"stem_stride": 2}, [2, 4, 8]),
        ("squeezenet1_1", {"stem_stride": 1}, [1, 2, 4]),
    ],
)
def test_a_smaller_stem_stride_keeps_resolution(name, options, strides):
    assert create_model(name, features_only=True, **options).feature_strides == strides


@pytest.mark.parametrize("name", ["linear_classifier", "lenet5", "irevnet_bijective"])
def test_a_network_without_stages_says_so(name):
    with pytest.raises(UsageError, match=f"{name} has no feature maps"):
        create_model(name, features_only=True)


# Classes whose `stages` do not end where the resolution is about to be halved, but behind it.
NO_BACKBONE = {"FractalNet", "FractalNetCifar"}
BACKBONES = [
    next(name for name in model_names() if find_entry(name).cls is cls)
    for cls in dict.fromkeys(find_entry(name).cls for name in model_names())
    if cls.__name__ not in NO_BACKBONE
]


@pytest.mark.parametrize("name", BACKBONES)
def test_each_stage_of_a_backbone_has_half_the_resolution_of_the_one_before(name):
    with torch.device("meta"):
        whole = create_model(name)
        own = hasattr(getattr(whole, "backbone", None), "feature_channels")
        if not own and not isinstance(getattr(whole, "stages", None), nn.Sequential):
            with pytest.raises(UsageError, match=f"{name} has no feature maps"):
                create_model(name, features_only=True)
            return
        model = create_model(name, features_only=True)
    assert model.feature_strides[0] in ((1, 2, 4, 8) if own else (1, 2, 4))
    coarsest = COARSE if isinstance(whole, LRASPP) else math.inf  # it spreads filters from there on
    assert all(b == min(2 * a, coarsest) for a, b in pairwise(model.feature_strides))
    assert len(model.feature_channels) == len(model.feature_strides) >= 3
