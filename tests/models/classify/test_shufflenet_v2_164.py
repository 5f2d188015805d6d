import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.models import create_model
from convatlas.models.classify.shufflenet_v2_164 import GatedShuffleUnit, SEShuffleNetV2


def test_counts_with_and_without_the_classifiers_that_help_training(counted):
    assert counted("se_shufflenet_v2_164", auxiliary=True)[0] == 140_685_664
    params, macs = counted("se_shufflenet_v2_164")
    assert params == 125_120_936
    assert 12.7e9 <= macs < 12.8e9  # the authors print 12.7G


def test_it_has_164_layers():
    with torch.device("meta"):
        model = create_model("se_shufflenet_v2_164")
    units = [m for m in model.modules() if isinstance(m, GatedShuffleUnit)]
    stem = sum(isinstance(m, nn.Conv2d) for m in model.stages[0].modules())
    assert stem + 3 * len(units) + 2 == 164


@pytest.mark.parametrize(("stride", "first"), [(1, False), (1, True), (2, True)])
def test_a_unit_equals_a_plain_second_computation(stride, first):
    torch.manual_seed(0)
    into = 8 if first else 16
    unit = GatedShuffleUnit(into, 16, stride=stride, first=first).double().eval()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    x = torch.randn(2, 2 * into, 7, 7, dtype=torch.float64)
    left = torch.stack([x[:, 2 * i] for i in range(into)], 1)
    right = torch.stack([x[:, 2 * i + 1] for i in range(into)], 1)
    narrow, filters, widen, gate = unit.branch
    y = F.conv2d(right, narrow[0].weight).relu()
    y = F.conv2d(y, filters[0].weight, stride=stride, padding=1, groups=8).relu()
    y = F.conv2d(y, widen[0].weight)
    scale = gate.expand(gate.reduce(y.mean((2, 3))).relu()).sigmoid()
    y = y * scale[:, :, None, None]
    if first:
        left = F.conv2d(left, unit.passing[0].weight, stride=stride, padding=1)
    else:
        y = y + right
    expected = torch.cat([left, y], 1).relu()
    if stride == 2:
        expected = F.conv2d(expected, unit.mix[0].weight).relu()
    torch.testing.assert_close(unit(x), expected)


def test_auxiliary_classifiers_count_in_training_and_are_off_in_evaluation():
    torch.manual_seed(0)
    model, (x,) = SEShuffleNetV2.tiny()
    target = torch.tensor([1, 3])
    outputs = model.train()(x)
    each = [F.cross_entropy(y, target) for y in (outputs.logits, *outputs.auxiliary)]
    expected = sum(w * loss for w, loss in zip((1.0, 0.3, 0.5, 0.7), each, strict=True))
    torch.testing.assert_close(model.loss(outputs, target, F.cross_entropy), expected)
    logits = model.eval()(x)
    assert logits.shape == (2, 5)
    torch.testing.assert_close(
        model.loss(logits, target, F.cross_entropy), F.cross_entropy(logits, target)
    )


def test_the_deepest_auxiliary_classifier_reads_the_stage_before_the_last():
    model, _ = SEShuffleNetV2.tiny()
    reads = [head[1][0].in_channels for head in model.auxiliary]
    assert reads == [2 * stage[-1].branch[2][0].out_channels for stage in model.stages[1:4]]
