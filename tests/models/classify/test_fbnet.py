import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.fbnet import CHOICES, FORMS, FBNet, SearchedBlock
from convatlas.pretrained.keys import fbnet as keys

RELEASED = {  # thousands of weights without norms and biases, and macs, as the library states them
    "fbnet_a": (4_270.29, 244_526_360),
    "fbnet_b": (4_766.67, 291_101_640),
    "fbnet_c": (5_525.42, 378_233_440),
}


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_form_has_the_figures_of_the_authors_library(name, counted):
    weights, macs = RELEASED[name]
    with torch.device("meta"):
        model = create_model(name, released=True)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(m.weight.numel() for m in convs) / 1000 == pytest.approx(weights, abs=0.005)
    pooled = model.classifier.in_features * 7 * 7  # which the library counts and we do not
    assert counted(name, released=True)[1] + pooled == macs


def test_answers_equal_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("fbnet_c", num_classes=10)
    assert_same_answers(
        ours, timm.create_model("fbnetc_100", num_classes=10), keys.timm_paths(ours)
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_search_chose_22_blocks_and_skips_are_left_out(form):
    rows = [row.split() for row in FORMS[form].blocks]
    assert [len(row) for row in rows] == [1, 4, 4, 4, 4, 4, 1]
    model = FBNet(form=form, width=0.25)
    blocks = [m for m in model.modules() if isinstance(m, SearchedBlock)]
    names = [name for row in rows for name in row if name != "skip"]
    for block, name in zip(blocks, names, strict=True):
        conv = block.filter[0]
        kernel, expand, groups = CHOICES[name]
        assert name == f"k{kernel}_e{expand}" + ("_g2" if groups == 2 else "")
        assert conv.kernel_size == (kernel, kernel)
        assert conv.in_channels == expand * block.expand[0].in_channels
        assert block.expand[0].groups == block.project[0].groups == groups


def test_a_block_in_two_groups_equals_a_plain_second_computation():
    torch.manual_seed(0)
    block = SearchedBlock(8, 8, 5, stride=1, expand=1, groups=2, mix_first=True).double().eval()
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    first, last = block.expand[0].weight[:, :, 0, 0], block.project[0].weight[:, :, 0, 0]

    def in_halves(x, weight):
        halves = zip(x.split(4, dim=1), weight.split(4), strict=True)
        return torch.cat([torch.einsum("nchw,dc->ndhw", part, w) for part, w in halves], dim=1)

    y = block.expand[1](in_halves(x, first)).relu()
    y = y[:, [0, 4, 1, 5, 2, 6, 3, 7]]
    y = block.filter[1](F.conv2d(y, block.filter[0].weight, padding=2, groups=8)).relu()
    torch.testing.assert_close(block(x), x + block.project[1](in_halves(y, last)))


def test_an_unknown_form_is_refused():
    with pytest.raises(UsageError, match=r"form must be one of a, b, c, s8, .*got d"):
        FBNet(form="d")
