import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.cost import count
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import squeezenext
from convatlas.models.classify.squeezenext import SeparableBlock

COUNTS = {  # first the authors' five files, then what the same rules give for the others
    "23": (718_280, 277_999_808),
    "23_g2": (544_072, 224_191_552),
    "23_v5": (931_016, 224_916_480),
    "23_w2.0": (2_362_728, 742_070_464),
    "23_v5_w2.0": (3_223_912, 702_592_000),
    "23_w1.5": (1_407_384, 472_270_784),
    "34": (1_053_560, 356_711_360),
    "34_w1.5": (2_157_408, 649_371_776),
    "34_w2.0": (3_692_232, 1_056_916_672),
    "44": (1_239_976, 428_197_568),
    "44_w1.5": (2_573_544, 810_215_744),
    "44_w2.0": (4_429_096, 1_342_861_504),
    "23_v2": (734_664, 224_916_480),
    "23_v3": (748_840, 224_916_480),
    "23_v4": (763_016, 224_916_480),
    "23_v4_w2.0": (2_556_136, 702_592_000),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_authors_files_and_rules(name, counted):
    assert counted(f"squeezenext{name}") == COUNTS[name]


@pytest.mark.parametrize("across_first", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_block_equals_a_plain_second_computation(across_first, stride, groups):
    torch.manual_seed(0)
    block = SeparableBlock(
        16, 16, stride=stride, across_first=across_first, groups=groups, project=stride == 2
    )
    block = block.double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    x = torch.randn(2, 16, 7, 9, dtype=torch.float64)
    first, second, third, fourth, last = (layer[0].weight for layer in block.residue)
    y = F.conv2d(x, first, stride=stride, groups=groups).relu()
    y = F.conv2d(y, second).relu()
    down, across = (1, 0), (0, 1)
    pads = (across, down) if across_first else (down, across)
    assert third.shape[2:] == ((1, 3) if across_first else (3, 1))
    y = F.conv2d(y, third, padding=pads[0], groups=groups).relu()
    y = F.conv2d(y, fourth, padding=pads[1], groups=groups).relu()
    y = F.conv2d(y, last).relu()
    shortcut = F.conv2d(x, block.shortcut[0].weight, stride=2).relu() if stride == 2 else x
    torch.testing.assert_close(block(x), (shortcut + y).relu())


def test_maps_are_those_of_the_authors_files():
    with torch.device("meta"):
        for name, first in (("squeezenext23", [111, 55]), ("squeezenext23_v5", [112, 56])):
            maps = create_model(name, features_only=True)(torch.rand(1, 3, 227, 227))
            assert [m.shape[2] for m in maps] == [*first, 28, 14, 7]


@pytest.mark.parametrize("name", ["squeezenext23", "squeezenext23_v4"])
def test_the_filters_alternate_through_the_whole_network(name):
    blocks = [m for m in create_model(name).modules() if isinstance(m, SeparableBlock)]
    assert len(blocks) == 21
    kernels = [block.residue[2][0].kernel_size for block in blocks]
    assert kernels == [(3, 1), (1, 3)] * 10 + [(3, 1)]


def test_later_versions_halve_before_their_blocks_and_the_first_inside():
    for name, kinds in (("squeezenext23", ["SeparableBlock"]), ("squeezenext23_v5", [])):
        model = create_model(name, width=0.5)
        projecting = [
            type(m).__name__
            for m in model.modules()
            if isinstance(m, SeparableBlock) and not isinstance(m.shortcut, nn.Identity)
        ]
        assert projecting == kinds * 4


@pytest.mark.parametrize("width", [0.25, 1.5])
def test_the_first_and_the_last_convolution_do_not_grow(width):
    model = create_model("squeezenext23", width=width)
    assert model.stages[0][0][0].out_channels == 64
    assert model.head[0].out_channels == 128


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
@pytest.mark.parametrize("version", [1, 5])
def test_min_size_is_the_smallest_that_the_layers_take(stem_stride, version, monkeypatch):
    monkeypatch.setattr(squeezenext, "check_image", lambda *args, **options: None)
    model = create_model("squeezenext23", width=0.25, stem_stride=stem_stride, version=version)
    size = model.eval().min_size
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, size - 1, size - 1))


def test_versions_from_3_on_have_one_depth():
    with pytest.raises(UsageError, match="depth must be one of 23, got 34"):
        create_model("squeezenext34", version=3)
    with pytest.raises(UsageError, match="version must be one of 1, 2, 3, 4, 5, got 6"):
        create_model("squeezenext23", version=6)


@pytest.mark.parametrize(
    ("name", "printed"), [("squeezenext23", 282e6), ("squeezenext23_w2.0", 749e6)]
)
def test_the_papers_figure_counts_normalisation_as_well(name, printed):
    values = []
    model = create_model(name)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, args, out: values.append(out.numel()))
    with torch.device("meta"):
        model.to("meta").eval()(torch.rand(1, 3, 227, 227))
    assert (
        round((count(create_model(name), (1, 3, 227, 227)).macs + sum(values)) / 1e6)
        == printed / 1e6
    )
