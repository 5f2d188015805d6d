import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.peleenet import STAGES, PeleeNet
from convatlas.ops import SqueezeExcite

COUNTS = {  # with norms; of the CSP form only rounded figures are known: see the claims
    "peleenet": (2_802_248, 507_757_568),
    "csppeleenet": (2_831_944 + 11_776, 445_338_624),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_layer_table(name, counted):
    assert counted(name) == COUNTS[name] == counted(f"{name}_swish")


def test_same_answers_as_pytorchcv(assert_same_answers):
    models = pytest.importorskip("pytorchcv.models.peleenet")
    peer = models.peleenet(num_classes=7)
    peer.features.final_pool = nn.AdaptiveAvgPool2d(1)  # the peer is bound to 224 pixels
    ours = create_model("peleenet", num_classes=7)
    named = [
        ("init_block.first_conv", "stages.0.0.first"),
        ("init_block.branches.branch1.conv1", "stages.0.0.conv.0"),
        ("init_block.branches.branch1.conv2", "stages.0.0.conv.1"),
        ("init_block.last_conv", "stages.0.0.mix"),
        ("final_block", f"stages.3.{STAGES[3][0] + 1}"),
    ]
    for stage, (layers, _) in enumerate(STAGES):
        for layer in range(layers):
            theirs, mine = f"stage{stage + 1}.unit{layer + 1}", f"stages.{stage}.{layer + 1}"
            named += [(f"{theirs}.branch1.conv{k}", f"{mine}.near.{k - 1}") for k in (1, 2)]
            named += [(f"{theirs}.branch2.conv{k}", f"{mine}.far.{k - 1}") for k in (1, 2, 3)]
        if stage < 3:
            named.append(
                (f"stage{stage + 2}.trans{stage + 2}.conv", f"stages.{stage}.{layers + 1}")
            )
    pairs = [("output.fc", "classifier.1")]
    for theirs, mine in named:
        pairs += [(f"features.{theirs}.conv", f"{mine}.0"), (f"features.{theirs}.bn", f"{mine}.1")]
    assert_same_answers(ours, peer, pairs)


def test_half_of_the_channels_pass_a_cross_stage_by_untouched():
    torch.manual_seed(0)
    model = PeleeNet(partial=0.5, width=0.5).double().eval()
    block = model.stages[1][1]
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64)
    y = block(x)
    assert torch.equal(y[:, :32], x[:, :32])
    parts = x[:, 32:]
    for layer in range(4):

        def conv(path, z, layer=layer):
            kernel = block.state_dict()[f"through.{layer}.{path}.0.weight"]
            z = F.conv2d(z, kernel, padding=kernel.shape[-1] // 2)
            return (z / (1 + 1e-5) ** 0.5).relu()  # a norm as it starts

        near = conv("near.1", conv("near.0", parts))
        far = conv("far.2", conv("far.1", conv("far.0", parts)))
        parts = torch.cat([parts, near, far], 1)
    last = block.state_dict()["through.4.0.weight"]
    expected = (F.conv2d(parts, last) / (1 + 1e-5) ** 0.5).relu()
    torch.testing.assert_close(y[:, 32:], expected)


def test_cross_stage_form_pools_before_its_second_transition():
    for cross_stage in (False, True):
        model = PeleeNet(partial=0.5 if cross_stage else 0.0, width=0.5)
        assert [isinstance(s[0], nn.AvgPool2d) for s in model.stages] == [False, True, True, True]
        # The first stage has PeleeNet's own transition in every form.
        assert len(model.stages[2]) == (3 if cross_stage else 10)


def test_swish_is_the_only_activation_of_its_form():
    with torch.device("meta"):
        model = create_model("csppeleenet_swish")
    assert not any(isinstance(m, nn.ReLU) for m in model.modules())
    assert any(isinstance(m, nn.SiLU) for m in model.modules())


def test_smaller_stem_takes_smaller_images():
    model = PeleeNet(stem_stride=2, width=0.25).eval()
    assert model(torch.rand(1, 3, 15, 15)).shape == (1, 1000)
    with pytest.raises(ValueError, match=r"PeleeNet: input must be .* from 15 pixels up"):
        model(torch.rand(1, 3, 15, 14))
    with pytest.raises(UsageError, match="stem_stride must be one of 4, 2, got 1"):
        PeleeNet(stem_stride=1)


@pytest.mark.parametrize(
    ("name", "published"), [("peleenet_swish_se", 2.81), ("csppeleenet_swish_se", 2.85)]
)
def test_gates_bring_the_published_parameters(name, published):
    with torch.device("meta"):
        model = create_model(name)
    norms = sum(
        p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
    )
    numbers = sum(p.numel() for p in model.parameters()) - norms
    assert round(numbers / 1e6, 2) == published


def test_each_layer_has_a_gate_behind_each_of_its_two_1x1():
    layer = PeleeNet(gates=True, width=0.5).stages[0][1]
    for way in (layer.near, layer.far):
        assert [isinstance(m, SqueezeExcite) for m in way[0]] == [False, False, False, True]


def test_impossible_shares_and_fusions_are_refused():
    with pytest.raises(UsageError, match="PeleeNet: partial must be from 0 to below 1, got -1"):
        PeleeNet(partial=-1)
    with pytest.raises(UsageError, match="fusion must be one of csp, first, last, got late"):
        PeleeNet(fusion="late")
