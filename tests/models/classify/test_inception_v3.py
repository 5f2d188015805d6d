import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import inception_v3
from convatlas.pretrained.keys import inception_v3 as keys


@pytest.mark.parametrize(
    ("options", "params"), [({}, 23_834_568), ({"auxiliary": True}, 27_161_264)]
)
def test_counts_are_those_of_the_reference_network(options, params, counted):
    assert counted("inception_v3", **options) == (params, 5_713_216_096)


def test_taking_7x7_apart_costs_what_the_windows_hold(counted):
    """Version 2 with 3 x 3 and with 7 x 7 differ in their middle modules and one reduction."""
    pairs, factorised = counted("inception_v2"), counted("inception_v2_7x7")
    weights = norms = 0
    for c in (128, 160, 160, 160, 192):
        weights += (7 * c * c + 7 * c * 192) - 9 * c * 192  # 1 x 7 and 7 x 1 for one 3 x 3
        weights += (3 * 7 * c * c + 7 * c * 192) - (9 * c * c + 9 * c * 192)
        norms += c + 2 * c
    weights += (2 * 7 - 9) * 192 * 192
    norms += 192
    assert factorised[0] - pairs[0] == weights + 2 * norms
    assert factorised[1] - pairs[1] == weights * 17 * 17


def test_answers_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("inception_v3", num_classes=10, auxiliary=True)
    options = {"aux_logits": True, "transform_input": False, "init_weights": False}
    peer = torchvision.models.inception_v3(num_classes=10, **options)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours), size=123)


def test_answers_equal_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("inception_v3", num_classes=10)
    peer = timm.create_model("inception_v3", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours), size=107)


def test_the_auxiliary_classifier_equals_torchvisions():
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    ours = create_model("inception_v3", num_classes=10, auxiliary=True).eval()
    peer = torchvision.models.inception_v3(num_classes=10, init_weights=False).AuxLogits.eval()
    theirs = dict(keys.torchvision_paths(ours))
    for key, value in peer.state_dict().items():
        module, _, tensor = f"AuxLogits.{key}".rpartition(".")
        getattr(ours.get_submodule(theirs[module]), tensor).data.copy_(value)
    x = torch.rand(2, 768, 17, 17)
    with torch.no_grad():
        torch.testing.assert_close(ours.auxiliary(x), peer(x))


def _plain(x, branch):
    """Convolutions and batch norms of a branch, by their formulas."""
    for layer in branch:
        if isinstance(layer, nn.AvgPool2d):
            x = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).mean((4, 5))
            continue
        conv, norm, _ = layer
        x = F.conv2d(x, conv.weight, padding=[k // 2 for k in conv.kernel_size])
        mean, variance = norm.running_mean.view(-1, 1, 1), norm.running_var.view(-1, 1, 1)
        x = (x - mean) / (variance + 1e-3).sqrt() * norm.weight.view(-1, 1, 1)
        x = (x + norm.bias.view(-1, 1, 1)).clamp(min=0)
    return x


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("inception_v2", [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (3, 3), (3, 3)], [(1, 1)]]),
        (
            "inception_v2_7x7",
            [
                [(1, 1)],
                [(1, 1), (1, 7), (7, 1)],
                [(1, 1), (7, 1), (1, 7), (7, 1), (1, 7)],
                [(1, 1)],
            ],
        ),
    ],
)
def test_a_middle_module_of_version_2_equals_a_plain_second_computation(name, kernels):
    torch.manual_seed(0)
    model = create_model(name, width=0.125).double().eval()
    module = model.stages[3][1]
    convs = [[m for m in branch.modules() if isinstance(m, nn.Conv2d)] for branch in module]
    assert [[conv.kernel_size for conv in branch] for branch in convs] == kernels
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.bias)
    x = torch.randn(2, convs[0][0].in_channels, 9, 9, dtype=torch.float64)
    expected = torch.cat([_plain(x, branch) for branch in module], 1)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("name", ["inception_v2", "inception_v3"])
def test_maps_have_the_published_sizes(name):
    with torch.device("meta"):
        model = create_model(name)
        maps, sizes = model.example()[0], []
        for stage in model.stages:
            maps = stage(maps)
            sizes.append(tuple(maps.shape[1:]))
    first = {"inception_v2": (80, 71, 71), "inception_v3": (192, 71, 71)}[name]
    assert sizes == [(64, 147, 147), first, (288, 35, 35), (768, 17, 17), (2048, 8, 8)]


@pytest.mark.parametrize("norm", [True, False])
def test_the_auxiliary_classifier_trains_the_lower_layers_and_rests_in_evaluation(norm):
    torch.manual_seed(0)
    options = {"width": 0.125, "num_classes": 5, "stem_stride": 2, "auxiliary": True}
    model = create_model("inception_v3", auxiliary_norm=norm, **options)
    kinds = [type(m) for m in model.auxiliary.modules()]
    assert (nn.BatchNorm2d in kinds) == norm
    x, target = model.example(batch=2, size=48)[0], torch.tensor([1, 4])
    outputs = model.train()(x)
    loss = model.loss(outputs, target, F.cross_entropy)
    parts = [F.cross_entropy(y, target) for y in (outputs.logits, *outputs.auxiliary)]
    torch.testing.assert_close(loss, parts[0] + 0.4 * parts[1])

    outputs.auxiliary[0].square().sum().backward()  # read behind the last 17 x 17 module
    last = len(model.stages) - 1
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert any(name.startswith(f"stages.{last - 1}.4.") for name in reached)
    assert not any(name.startswith((f"stages.{last}.", "classifier")) for name in reached)

    model.eval()
    before = model(x)
    for parameter in model.auxiliary.parameters():
        parameter.data.fill_(torch.nan)
    assert torch.equal(model(x), before)


def test_without_the_auxiliary_classifier_training_gives_plain_logits():
    model = create_model("inception_v3", width=0.125, num_classes=5, stem_stride=1).train()
    logits, target = model(model.example(batch=2, size=20)[0]), torch.tensor([0, 1])
    expected = F.cross_entropy(logits, target)
    assert torch.equal(model.loss(logits, target, F.cross_entropy), expected)


@pytest.mark.parametrize("layout", ["v2", "v3"])
@pytest.mark.parametrize("stem_stride", [8, 4, 2, 1])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_min_size_is_the_smallest_that_the_layers_take(layout, stem_stride, auxiliary, monkeypatch):
    monkeypatch.setattr(inception_v3, "check_image", lambda *args, **options: None)
    options = {"layout": layout, "stem_stride": stem_stride, "auxiliary": auxiliary}
    model = create_model("inception_v3", width=0.05, auxiliary_norm=False, **options).train()
    with torch.no_grad():
        model(torch.zeros(2, 3, model.min_size, model.min_size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(2, 3, model.min_size - 1, model.min_size))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("layout", "v1", "v2, v2-7x7, v3, got v1"), ("stem_stride", 3, "8, 4, 2, 1, got 3")],
)
def test_wrong_options_are_refused(option, value, message):
    with pytest.raises(UsageError, match=f"{option} must be one of {message}"):
        create_model("inception_v3", **{option: value})
