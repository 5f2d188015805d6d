from collections import Counter

import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.senet import SEUnit
from convatlas.pretrained.keys import resnext as resnext_keys
from convatlas.pretrained.keys import senet as keys
from convatlas.pretrained.keys import senet_154 as keys154

CHANNELS = {2: (256, 3), 3: (512, 4), 4: (1024, 6), 5: (2048, 3)}  # and units of ResNet-50
PLAIN = 25_557_032


@pytest.mark.parametrize("ratio", [2, 4, 8, 16, 32])
def test_weights_are_those_of_the_paper_s_formula(ratio, counted):
    extra = sum(2 * units * c * c // ratio for c, units in CHANNELS.values())
    assert counted(f"se_resnet50_ratio{ratio}")[0] == PLAIN + extra


@pytest.mark.parametrize("stage", [2, 3, 4])
def test_one_stage_alone_can_have_it(stage, counted):
    c, units = CHANNELS[stage]
    assert counted(f"se_resnet50_stage{stage}")[0] == PLAIN + 2 * units * c * c // 16


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
def test_answers_equal_timm(name, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(f"se_{name}", stride_in_3x3=True, num_classes=10)
    peer = timm.create_model(f"se{name}", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_answers_of_resnext_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("resnext50_32x4d", num_classes=10)
    peer = torchvision.models.resnext50_32x4d(num_classes=10)
    assert_same_answers(ours, peer, resnext_keys.torchvision_paths(ours))


def test_answers_of_senet154_equal_timm(assert_same_answers):
    senet = pytest.importorskip("timm.models.senet")
    shallow = [(1, 256), (2, 512), (2, 1024), (1, 2048)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convatlas.models.classify.senet_154.LAYOUT", shallow)
        ours = create_model("senet154", num_classes=10)
    peer = senet.SENet(
        block=senet.SEBottleneck,
        layers=[units for units, _ in shallow],
        groups=64,
        reduction=16,
        num_classes=10,
        downsample_kernel_size=3,
        downsample_padding=1,
        inplanes=128,
        input_3x3=True,
    )
    assert_same_answers(ours, peer, keys154.timm_paths(ours))


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity"])
def test_a_placement_is_where_the_paper_draws_it(placement):
    torch.manual_seed(0)
    model = create_model("se_resnet50", width=0.125, placement=placement).double().eval()
    unit = model.stages[2][0]
    assert isinstance(unit, SEUnit)
    x = torch.rand(2, 32, 8, 8, dtype=torch.float64)
    convs = [m for m in unit.residue if not hasattr(m, "reduce")]
    project = unit.shortcut[0] if placement == "identity" else unit.shortcut
    gates = [m for m in unit.modules() if hasattr(m, "reduce")]
    assert len(gates) == 1

    def gate(y):
        hidden = (y.mean((2, 3)) @ gates[0].reduce.weight.T + gates[0].reduce.bias).clamp(min=0)
        scale = torch.sigmoid(hidden @ gates[0].expand.weight.T + gates[0].expand.bias)
        return y * scale[:, :, None, None]

    def residue(y):
        for conv in convs:
            y = conv(y)
        return y

    expected = {
        "standard": lambda: (gate(residue(x)) + project(x)).relu(),
        "pre": lambda: (residue(gate(x)) + project(x)).relu(),
        "post": lambda: gate((residue(x) + project(x)).relu()),
        "identity": lambda: (residue(x) + gate(project(x))).relu(),
    }
    torch.testing.assert_close(unit(x), expected[placement]())


def test_cifar_forms_gate_each_residue_of_their_plain_ones(counted):
    plain, gated = counted("wide_resnet16_8_cifar"), counted("se_wide_resnet16_8_cifar")
    widths = [128, 256, 512]
    assert gated[0] - plain[0] == sum(2 * (2 * c * c // 16 + c + c // 16) for c in widths)
    assert gated[1] - plain[1] == sum(2 * (2 * c * c // 16) for c in widths)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("placement", "both", "placement must be one of standard, pre, post, identity, got both"),
        ("se_stages", (1,), "se_stages must be one of 2, 3, 4, 5, got 1"),
        ("depth", 200, "depth must be one of"),
        ("groups", 0, "groups and group_width must be 1 or more"),
    ],
)
def test_other_options_are_refused(option, value, message):
    with pytest.raises(UsageError, match=message):
        create_model("se_resnet50", **{option: value})


def test_groups_need_bottlenecks():
    with pytest.raises(UsageError, match="depth must be 50 or more with groups, got 18"):
        create_model("se_resnet18", groups=32)


def test_se_resnet164_differs_from_a_peer_by_two_normalisations_alone():
    """pytorchcv normalises behind the first convolution, and not behind the last unit."""
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = _sizes(create_model("se_resnet164_cifar"))
    theirs = _sizes(provider.get_model("sepreresnet164bn_cifar10"))
    assert ours - theirs == Counter({256: 2})  # of 1,905,362 numbers: the last scale and shift
    assert theirs - ours == Counter({16: 2})  # of 1,904,882


def _sizes(model):
    return Counter(p.numel() for p in model.parameters())
