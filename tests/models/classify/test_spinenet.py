from collections import Counter

import pytest
import torch
from torch import nn

from convatlas.cost import count
from convatlas.models import create_model
from convatlas.models.classify.spinenet import SpineNet
from convatlas.models.classify.spinenet_backbone import SpineNetBackbone
from convatlas.models.classify.spinenet_graphs import (
    MOBILE,
    R0_SP53,
    R14_SP39,
    R23_SP30,
    R35_SP18,
    SPINENET49,
    unread_inputs,
)
from convatlas.models.on_shapes import on_shapes

# Blocks of levels 2 to 5 in the stem and 2 to 7 behind it, as the paper prints them.
BLOCKS = {
    "R35-SP18": (R35_SP18, (2, 3, 5, 1), (1, 1, 1, 1, 1, 1)),
    "R23-SP30": (R23_SP30, (2, 2, 2, 1), (1, 2, 4, 1, 1, 1)),
    "R14-SP39": (R14_SP39, (1, 1, 1, 1), (2, 3, 5, 1, 1, 1)),
    "R0-SP53": (R0_SP53, (2, 0, 0, 0), (1, 4, 6, 2, 1, 1)),
    "SpineNet-49": (SPINENET49, (2, 0, 0, 0), (1, 2, 4, 4, 2, 2)),
}

# Backbone with its endpoints, counted by another build that the sheet describes.
PARAMS = {
    "49s": 9_089_215,
    "49": 21_831_488,
    "96": 36_262_976,
    "143": 60_247_616,
    "190": 126_587_664,
}


@pytest.mark.parametrize("form", PARAMS)
def test_the_backbone_has_the_parameters_of_the_reference(form):
    with on_shapes():
        model = SpineNetBackbone(form=form)
    assert sum(p.numel() for p in model.parameters()) == PARAMS[form]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_graph_has_the_published_number_of_blocks_of_each_level(name):
    graph, stem, permuted = BLOCKS[name]
    of_stem = Counter(node.level for node in graph if len(node.inputs) < 2)
    others = Counter(node.level for node in graph if len(node.inputs) == 2)
    assert tuple(of_stem[level] for level in range(2, 6)) == stem
    assert tuple(others[level] for level in range(2, 8)) == permuted
    assert sorted(node.level for node in graph if node.output) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("graph", [SPINENET49, MOBILE, R0_SP53, R35_SP18, R23_SP30, R14_SP39])
def test_blocks_read_earlier_ones_and_every_block_but_an_output_is_read(graph):
    read = {i for node in graph for i in node.inputs}
    read |= {i for joining in unread_inputs(graph).values() for i in joining}
    for place, node in enumerate(graph):
        assert all(i < place for i in node.inputs)
        assert node.output or place in read


def test_an_unread_block_joins_the_output_of_its_shape():
    assert {i: j for i, j in unread_inputs(SPINENET49).items() if j} == {14: (11,)}
    assert {i: j for i, j in unread_inputs(R0_SP53).items() if j} == {13: (11,)}


def test_what_joins_is_added_before_the_activation():
    torch.manual_seed(0)
    model = SpineNetBackbone(width=0.1).eval()
    seen = {}
    for i in (7, 11, 12):
        model.groups[i].register_forward_hook(lambda m, a, y, i=i: seen.update({i: y}))
    model.groups[14].register_forward_hook(lambda m, a, y: seen.update({14: a[0]}))
    with torch.no_grad():
        model(torch.rand(1, 3, 128, 128))
        down, same = model.merges[14].edges[1], model.merges[14].edges[0]
        # Block 7 and 12 are of level 4, one level above that of block 14.
        total = same(seen[7], [4, 4]) + down(seen[12], [4, 4]) + seen[11]
    torch.testing.assert_close(seen[14], total.relu())


def test_an_edge_is_as_wide_as_alpha_says_and_goes_down_by_one_convolution():
    with on_shapes():
        model = SpineNetBackbone(form="49")
    # Block 15 (level 7) reads block 5 (level 4) and block 14 (level 5): 256 base channels each.
    far = model.merges[15].edges[0]
    kinds = [type(m).__name__ for m in far.narrow]
    assert kinds == ["ConvNormAct", "ConvNormAct", "MaxPool2d", "MaxPool2d"]
    assert far.narrow[0][0].weight.shape == (128, 1024, 1, 1)
    assert far.narrow[1][0].weight.shape == (128, 128, 3, 3)
    assert far.widen[0].weight.shape == (1024, 128, 1, 1)
    assert len(far.widen) == 2  # no activation before the sum
    # Block 13 (level 3) reads block 4 (level 3) and block 10 (level 5), which is coarser.
    assert [model.merges[13].edges[i].up for i in (0, 1)] == [False, True]


@pytest.mark.parametrize("size", [(128, 256), (65, 100)])
def test_maps_have_their_strides_at_any_size_rounded_up(size):
    model = create_model("spinenet49", features_only=True, width=0.1).eval()
    assert model.feature_strides == [8, 16, 32, 64, 128]
    with torch.no_grad():
        maps = model(torch.rand(1, 3, *size))
    assert [m.shape[1] for m in maps] == model.feature_channels
    assert [tuple(m.shape[2:]) for m in maps] == [
        tuple(-(-side // stride) for side in size) for stride in model.feature_strides
    ]


@pytest.mark.parametrize(
    ("form", "width", "stem_stride"), [("49_mobile", 0.5, 2), ("r35_sp18", 0.1, 4)]
)
def test_other_forms_run_and_pass_gradients_to_each_parameter(form, width, stem_stride):
    torch.manual_seed(0)
    model = SpineNet(form=form, width=width, num_classes=3, stem_stride=stem_stride)
    answer = model(torch.rand(4, 3, 64, 64))
    (answer * torch.randn_like(answer)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # The few units inside a gate may all lie below zero by chance.
        assert parameter.grad.abs().max() > 0 or ".excite." in name, name


def test_classes_are_read_from_the_mean_over_scales():
    model = SpineNet(width=0.1, num_classes=4).eval()
    x = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        means = torch.stack([m.mean((2, 3)) for m in model.backbone(x)]).mean(0)
        torch.testing.assert_close(model(x), model.classifier(means))


def test_the_stem_may_keep_more_resolution():
    small = SpineNetBackbone(width=0.1, stem_stride=1).eval()
    assert small.feature_strides == [2, 4, 8, 16, 32]
    with torch.no_grad():
        assert [m.shape[2] for m in small(torch.rand(1, 3, 32, 32))] == [16, 8, 4, 2, 1]


def test_swish_stands_for_every_activation():
    model = SpineNetBackbone(width=0.1, swish=True)
    outside_stem = [m for name, m in model.named_modules() if not name.startswith("stem")]
    assert not any(isinstance(m, nn.ReLU) for m in outside_stem)


def test_multiply_adds_of_the_mobile_forms_grow_with_their_scale():
    macs = []
    for form in ("49xs_mobile", "49s_mobile", "49_mobile"):
        with on_shapes():
            macs.append(count(SpineNetBackbone(form=form), (1, 3, 384, 384)).macs)
    assert macs == sorted(macs)
