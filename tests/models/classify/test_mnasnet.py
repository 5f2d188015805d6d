import pytest

from convatlas.blocks import MBConv
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.ops.squeeze_excitation import SqueezeExcite
from convatlas.pretrained.keys import mnasnet as keys

TIMM = {
    "mnasnet_a1": "semnasnet_100",
    "mnasnet_a1_w0.75": "semnasnet_075",
    "mnasnet_b1": "mnasnet_100",
    "mnasnet_b1_w1.4": "mnasnet_140",
    "mnasnet_small": "mnasnet_small",
}


@pytest.mark.parametrize(("width", "theirs"), [(1.0, "mnasnet1_0"), (0.75, "mnasnet0_75")])
def test_answers_equal_torchvision(width, theirs, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("mnasnet_b1", width=width, num_classes=10, norm_eps=1e-5)
    peer = getattr(torchvision.models, theirs)(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


@pytest.mark.parametrize("name", TIMM)
def test_answers_equal_timm(name, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(name, num_classes=10, norm_eps=1e-5)
    peer = timm.create_model(TIMM[name], num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_gates_are_a_quarter_as_wide_as_what_the_block_reads():
    blocks = [m for m in create_model("mnasnet_a1").modules() if isinstance(m, MBConv)]
    gates = [block.excite for block in blocks]
    widths = [g.reduce.out_features if isinstance(g, SqueezeExcite) else 0 for g in gates]
    assert widths == [0, 0, 0, 6, 10, 10, 0, 0, 0, 0, 20, 28, 28, 40, 40, 0]


def test_an_unknown_form_is_refused():
    with pytest.raises(UsageError, match="form must be one of a1, b1, small, got a2"):
        create_model("mnasnet_a1", form="a2")
