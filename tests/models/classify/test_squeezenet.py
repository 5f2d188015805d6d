import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import squeezenet
from convatlas.pretrained.keys import squeezenet as keys


def _fires(model):
    return [
        f"stages.{s}.{i}"
        for s, stage in enumerate(model.stages)
        for i, layer in enumerate(stage)
        if isinstance(layer, squeezenet.Fire)
    ]


@pytest.mark.parametrize(
    ("name", "theirs"), [("squeezenet", "squeezenet1_0"), ("squeezenet1_1", "squeezenet1_1")]
)
def test_answers_equal_torchvision(name, theirs, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(name, num_classes=10)
    peer = getattr(torchvision.models, theirs)(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


def test_answers_with_the_simple_bypass_equal_pytorchcv(assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model("squeezenet_simple_bypass", num_classes=10)
    peer = provider.get_model("squeezeresnet_v1_0", num_classes=10)
    paths = [("features.init_block.conv", "stages.0.0"), ("output.final_conv", "classifier.1")]
    numbers = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, 4), (3, 1)]
    for (stage, unit), fire in zip(numbers, _fires(ours), strict=True):
        for part in ("squeeze", "expand1x1", "expand3x3"):
            paths.append((f"features.stage{stage}.unit{unit}.{part}.conv", f"{fire}.{part}"))
    assert_same_answers(ours, peer, paths, size=224)


def test_a_fire_with_a_complex_bypass_equals_a_plain_second_computation():
    torch.manual_seed(0)
    model = create_model("squeezenet_complex_bypass")
    fires = [model.get_submodule(path) for path in _fires(model)]
    kinds = ["conv" if isinstance(f.bypass, torch.nn.Conv2d) else "identity" for f in fires]
    assert kinds == ["conv", "identity"] * 4
    fire = fires[0].double()
    x = torch.randn(2, 96, 7, 7, dtype=torch.float64)
    narrow = F.conv2d(x, fire.squeeze.weight, fire.squeeze.bias).relu()
    wide = [
        F.conv2d(narrow, fire.expand1x1.weight, fire.expand1x1.bias).relu(),
        F.conv2d(narrow, fire.expand3x3.weight, fire.expand3x3.bias, padding=1).relu(),
    ]
    bypass = torch.einsum("nchw,dc->ndhw", x, fire.bypass.weight[:, :, 0, 0])
    bypass = bypass + fire.bypass.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(fire(x), torch.cat(wide, 1) + bypass)


def test_both_bypasses_at_once_are_refused():
    with pytest.raises(UsageError, match="simple_bypass or complex_bypass"):
        create_model("squeezenet", simple_bypass=True, complex_bypass=True)


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
@pytest.mark.parametrize("v1_1", [False, True])
def test_min_size_is_the_smallest_that_the_layers_take(stem_stride, v1_1, monkeypatch):
    monkeypatch.setattr(squeezenet, "check_image", lambda *args, **options: None)
    model = create_model("squeezenet", width=0.25, stem_stride=stem_stride, v1_1=v1_1).eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, model.min_size, model.min_size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, model.min_size - 1, model.min_size))
