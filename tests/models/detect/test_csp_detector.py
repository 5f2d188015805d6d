"""Detectors on CSP backbones: counts of the authors' files, and which scale reads which."""

import pytest
import torch
from torch import nn

from convatlas.atlas.index import read_index
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.detect.csp_detector import NECKS, CSPDetector
from convatlas.models.detect.csp_necks import PartialResidual, SpatialPyramid
from convatlas.models.detect.fusion_necks import Fusion, maxout

# Convolutions of csresnext50-panet-spp.cfg behind its backbone, by stride: in > out, 3x3 marked.
PANET_SPP = {
    32: "2048>512 512>1024:3 1024>512 2048>512 512>1024:3 1024>512 512>256"
    " 1024>512 512>1024:3 1024>512 512>1024:3 1024>512 256>512:3 512>1024:3 1024>255",
    16: "1024>256 512>256 256>512:3 512>256 256>512:3 512>256 256>128"
    " 512>256 256>512:3 512>256 256>512:3 512>256 128>256:3 256>512:3 512>255",
    8: "512>128 256>128 128>256:3 256>128 128>256:3 256>128 128>256:3 256>255",
}
BACKBONE = (20_500_136, 57_344, 2048 * 1000 + 1000)  # cspresnext50: convolutions, norms, classifier


def tiny(**options) -> CSPDetector:
    torch.manual_seed(0)
    return CSPDetector(**{"width": 0.25, "num_classes": 3, "image_size": 64} | options).eval()


def convs(text: str):
    for each in text.split():
        shape, _, side = each.partition(":")
        start, end = map(int, shape.split(">"))
        yield start, end, int(side or 1) ** 2


def test_panet_has_the_convolutions_of_the_authors_file():
    weights = macs = norms = 0
    for stride, text in PANET_SPP.items():
        for start, end, area in convs(text):
            weights += start * end * area + (end if end == 255 else 0)  # heads have biases
            macs += start * end * area * (512 // stride) ** 2
            norms += 0 if end == 255 else 2 * end
    entry = read_index()["cspresnext50_panet_spp"]
    trunk, trunk_norms, classifier = BACKBONE
    assert entry.params == trunk + trunk_norms - classifier + weights + norms
    trunk_macs = read_index()["cspresnext50"].macs - 2048 * 1000
    assert entry.macs == trunk_macs * 4 + macs  # at 512 pixels, not 256


@pytest.mark.parametrize(
    ("name", "size", "windows", "published"),
    [
        ("cspresnext50_panet_spp", 512, 512 * 16**2 * 275 + 64 * 128**2 * 4, 71.331),
        # The file of this row has half the channels in the first stage.
        ("cspdarknet53_yolo_spp", 512, 512 * 16**2 * 275 - 2 * 21_504 * 256**2, 75.513),
        ("peleenet_prn", 320, 0, 2.39),
    ],
)
def test_billions_of_operations_are_those_that_the_authors_print(name, size, windows, published):
    """They count the windows of poolings too."""
    macs = read_index()[name].macs * (size / create_model(name).image_size) ** 2
    digits = len(str(published).partition(".")[2])
    assert round((2 * macs + windows) / 1e9, digits) == published


def test_pooling_pyramid_is_the_largest_value_of_each_window():
    x = torch.randn(1, 2, 9, 11)
    y = SpatialPyramid()(x)
    for place, size in enumerate((13, 9, 5, 1)):
        half = size // 2
        window = x[0, 1, max(0, 4 - half) : 5 + half, max(0, 6 - half) : 7 + half]
        assert y[0, 2 * place + 1, 4, 6] == window.max()


def reads(kind: str) -> list[list[bool]]:
    """For each scale put out, whether it depends on each scale put in."""
    torch.manual_seed(0)
    options = {"act": nn.Identity, "spp": False, "attention": False}
    neck = Fusion(kind, (3, 5, 7), 64, **options).eval()
    maps = [torch.randn(1, c, s, s) for c, s in ((3, 16), (5, 8), (7, 4))]
    with torch.no_grad():
        before, seen = neck(maps), []
        for place in range(3):
            changed = [x + 5 * torch.randn_like(x) * (n == place) for n, x in enumerate(maps)]
            after = neck(changed)
            seen.append([not torch.equal(a, b) for a, b in zip(after, before, strict=True)])
    return [list(column) for column in zip(*seen, strict=True)]


def test_each_fusion_reads_the_scales_of_the_papers_figure():
    assert reads("fpn") == [[True, True, True], [False, True, True], [False, False, True]]
    assert reads("gfm") == [[True] * 3] * 3
    assert reads("efm") == [[True, True, False], [True, True, True], [False, True, True]]


def test_global_fusion_is_one_mixture_for_all_scales():
    options = {"act": nn.Identity, "spp": False, "attention": False}
    neck = Fusion("gfm", (3, 5, 7), 4, **options).eval()
    with torch.no_grad():
        fine, middle, _ = neck([torch.randn(1, c, s, s) for c, s in ((3, 8), (5, 4), (7, 2))])
    assert torch.equal(fine, middle.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_maxout_is_the_largest_in_groups_of_a_concatenation_and_teaches_that_source_alone():
    maps = [torch.randn(2, 6, 3, 4, requires_grad=True) for _ in range(3)]
    joined = torch.cat(maps, 1).unflatten(1, (3, 6))
    best = maxout(maps)
    assert torch.equal(best, joined.amax(1))
    best.sum().backward()
    winner = joined.argmax(1)
    for place, source in enumerate(maps):
        assert torch.equal(source.grad, (winner == place).float())


def test_partial_residual_sums_as_the_file_does():
    neck = PartialResidual((6, 5), 4, act=nn.Identity).eval()
    fine, coarse = torch.randn(1, 6, 4, 4), torch.randn(1, 5, 2, 2)
    with torch.no_grad():
        got = neck([fine, coarse])
        start = neck.squeeze(coarse)
        end = neck.coarse(start)
        up = neck.narrow(end).repeat_interleave(2, 2).repeat_interleave(2, 3)
        own = fine[:, :4]
        torch.testing.assert_close(got[1], end + start)
        torch.testing.assert_close(got[0], neck.fine(up + own) + up + own)


def test_attention_weighs_each_pixel_of_each_channel():
    neck = Fusion("efm", (3, 5, 7), 4, act=nn.Identity, spp=True, attention=True).eval()
    maps = [torch.randn(1, c, s, s) for c, s in ((3, 8), (5, 4), (7, 2))]
    with torch.no_grad():
        weighed = neck(maps)
        gates, neck.gates = neck.gates, nn.ModuleList()
        plain = neck(maps)
        for x, y, gate in zip(plain, weighed, gates, strict=True):
            torch.testing.assert_close(y, x * gate(x).sigmoid())


@pytest.mark.parametrize("neck", NECKS)
def test_every_neck_answers_at_every_place_also_where_sizes_are_odd(neck):
    model = tiny(neck=neck, backbone="csppeleenet")
    for height, width in ((64, 64), (70, 93)):
        with torch.no_grad():
            offsets, logits = model(torch.rand(2, 3, height, width))
            boxes, scores, _ = model.detect(torch.rand(2, 3, height, width))
        strides = (16, 32) if neck == "prn" else (8, 16, 32)
        places = 3 * sum((height // s) * (width // s) for s in strides)
        assert offsets.shape[1] >= places
        assert offsets.shape[:2] == logits.shape[:2]
        assert boxes.shape == (2, 100, 4)
        assert scores.isfinite().all()


def test_what_a_neck_does_not_take_is_refused():
    with pytest.raises(UsageError, match="neck must be one of"):
        tiny(neck="bifpn")
    with pytest.raises(UsageError, match="spp must be"):
        tiny(neck="prn", spp=True)
    with pytest.raises(UsageError, match="attention must be"):
        tiny(neck="panet", attention=True)


@pytest.mark.slow
@pytest.mark.parametrize("neck", ["efm", "prn"])
def test_objects_are_learned_by_heart(boxes_learned_by_heart, neck):
    torch.manual_seed(0)
    model = tiny(neck=neck, image_size=96, min_scale=0.25, max_scale=0.7, score_threshold=0.1)
    boxes_learned_by_heart(model, size=96, steps=60, rate=5e-3)
