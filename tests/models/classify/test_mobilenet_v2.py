import pytest
import torch

from convatlas.models import create_model

COUNTS = {
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v2_w1.4": (6_108_776, 582_195_824),
    "mobilenet_v2_w0.75": (2_636_424, 209_069_792),
    "mobilenet_v2_w0.5": (1_968_680, 97_131_840),
    "mobilenet_v2_w0.35": (1_677_128, 59_285_808),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference_networks(name, counted):
    assert counted(name) == COUNTS[name]


def test_answers_equal_torchvision(assert_same_answers, flat_paths):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("mobilenet_v2", num_classes=10)
    peer = torchvision.models.mobilenet_v2(num_classes=10)
    stem, first, *units = flat_paths(ours)
    paths = [("features.0.0", f"{stem}.0"), ("features.0.1", f"{stem}.1")]
    paths += [("features.18.0", "head.0"), ("features.18.1", "head.1")]
    paths += [("classifier.1", "classifier.1")]
    for i, mine in enumerate([first, *units], start=1):
        parts = ("filter", "project") if i == 1 else ("expand", "filter", "project")
        *convs, last = parts
        for k, part in enumerate(convs):
            paths += [(f"features.{i}.conv.{k}.{j}", f"{mine}.{part}.{j}") for j in (0, 1)]
        k = len(convs)
        paths += [(f"features.{i}.conv.{k + j}", f"{mine}.{last}.{j}") for j in (0, 1)]
    assert_same_answers(ours, peer, paths)


@pytest.mark.parametrize("width", [0.35, 0.5, 1.4])
def test_answers_equal_timm(width, assert_same_answers, flat_paths):
    timm = pytest.importorskip("timm")
    ours = create_model("mobilenet_v2", width=width, num_classes=10)
    peer = timm.create_model(f"mobilenetv2_{round(100 * width):03d}", num_classes=10)
    blocks = [f"blocks.{s}.{i}" for s, stage in enumerate(peer.blocks) for i in range(len(stage))]
    stem, *units = flat_paths(ours)
    paths = [("conv_stem", f"{stem}.0"), ("bn1", f"{stem}.1"), ("classifier", "classifier.1")]
    paths += [("conv_head", "head.0"), ("bn2", "head.1")]
    for theirs, mine in zip(blocks, units, strict=True):
        first = theirs == "blocks.0.0"
        names = ("dw", "pw") if first else ("pw", "dw", "pwl")
        parts = ("filter", "project") if first else ("expand", "filter", "project")
        for k, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
            paths += [(f"{theirs}.conv_{name}", f"{mine}.{part}.0")]
            paths += [(f"{theirs}.bn{k}", f"{mine}.{part}.1")]
    assert_same_answers(ours, peer, paths)


def test_the_narrow_end_is_linear():
    torch.manual_seed(0)
    block = create_model("mobilenet_v2", width=0.5).stages[1][0]
    assert (block(torch.randn(2, 8, 8, 8)) < 0).any()
