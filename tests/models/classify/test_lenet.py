import math

import pytest
import torch
from torch.nn import functional as F

from convatlas.cost import count
from convatlas.models import create_model
from convatlas.models.classify.lenet import (
    C3_TABLE,
    EuclideanOutput,
    PartialConv,
    Subsample,
    map_loss,
    right_distance_loss,
)


@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("lenet5", {}, 60_000, 325_680),
        ("lenet5", {"distance_output": False}, 60_850, 326_520),
        ("lenet5", {"distance_output": False, "trainable_pooling": False}, 60_806, 326_520),
        ("lenet5_modern", {}, 61_706, 416_520),
    ],
)
def test_counts_of_the_four_variants(name, options, params, macs, counted):
    assert counted(name, **options) == (params, macs)


def test_trainable_parameters_per_layer_are_the_papers():
    model = create_model("lenet5")
    layers = [sum(p.numel() for p in part.parameters()) for part in model.features]
    assert [n for n in layers if n] == [156, 12, 1_516, 32, 48_120, 10_164]
    assert sum(p.numel() for p in model.classifier.parameters()) == 0
    assert model.classifier.codes.numel() == 840


def test_partial_convolution_equals_a_full_one_with_zeros():
    torch.manual_seed(0)
    partial = PartialConv(C3_TABLE, 5).double()
    full = torch.zeros(16, 6, 5, 5, dtype=torch.float64)
    kernels = [kernel for conv in partial.convs for kernel in conv.weight]
    for row, (sources, kernel) in enumerate(zip(C3_TABLE, kernels, strict=True)):
        full[row, list(sources)] = kernel
    bias = torch.cat([conv.bias for conv in partial.convs])
    x = torch.randn(2, 6, 14, 14, dtype=torch.float64)
    torch.testing.assert_close(partial(x), F.conv2d(x, full, bias))


def test_table_has_sixty_pairs_and_every_source_ten_times():
    sources = [s for row in C3_TABLE for s in row]
    assert len(sources) == 60
    assert [sources.count(s) for s in range(6)] == [10] * 6
    assert len(set(C3_TABLE)) == 16


def test_subsampling_sums_each_window_then_scales_and_shifts():
    torch.manual_seed(0)
    pool = Subsample(3).double()
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    windows = F.unfold(x.reshape(6, 1, 6, 8), 2, stride=2).sum(1).view(2, 3, 3, 4)
    torch.testing.assert_close(pool(x), windows * pool.weight + pool.bias)


def test_whole_network_equals_a_plain_second_computation():
    torch.manual_seed(0)
    model = create_model("lenet5").double()
    c1, _, s2, c3, _, s4, c5, _, _, f6, _ = model.features
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64)

    def squash(a):
        return 1.7159 * torch.tanh(2 * a / 3)

    maps = squash(F.conv2d(x, c1.weight, c1.bias))
    maps = squash(F.avg_pool2d(maps, 2) * 4 * s2[0].weight + s2[0].bias)
    maps = squash(c3(maps))
    maps = squash(F.avg_pool2d(maps, 2) * 4 * s4[0].weight + s4[0].bias)
    features = squash(F.linear(maps.flatten(1), c5.weight.flatten(1), c5.bias))
    features = squash(F.linear(features, f6.weight, f6.bias))
    distances = torch.cdist(features, model.classifier.codes) ** 2
    torch.testing.assert_close(model(x), -distances)
    assert (model(x).argmax(1) == distances.argmin(1)).all()


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_codes_are_fixed_plus_and_minus_ones_far_apart(classes):
    codes = EuclideanOutput(84, classes).codes
    assert codes.shape == (classes, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(codes, EuclideanOutput(84, classes).codes)
    overlap = (codes @ codes.T).fill_diagonal_(0)
    assert overlap.abs().max() <= 84 / 2
    assert "classifier.codes" in create_model("lenet5", num_classes=classes).state_dict()


def test_losses_are_equations_8_and_9():
    distances = torch.tensor([[1.0, 3.0, 2.0], [0.5, 4.0, 0.25]])
    target = torch.tensor([0, 1])
    assert right_distance_loss(-distances, target).item() == pytest.approx((1 + 4) / 2)
    terms = [
        right + math.log(math.exp(-0.1) + sum(math.exp(-y) for y in row))
        for right, row in zip((1.0, 4.0), distances.tolist(), strict=True)
    ]
    assert map_loss(-distances, target).item() == pytest.approx(sum(terms) / 2)


@pytest.mark.parametrize("name", ["lenet5", "lenet5_modern"])
@pytest.mark.parametrize("size", [28, 31, 33])
def test_other_sizes_are_refused_with_the_right_one(name, size):
    with pytest.raises(ValueError, match=r"must be exactly \(n, 1, 32, 32\).*resize or pad"):
        create_model(name)(torch.zeros(1, 1, size, size))


def test_modern_width_scales_every_hidden_layer():
    wide = create_model("lenet5_modern", width=2)
    shapes = [p.shape[0] for n, p in wide.named_parameters() if n.endswith("weight")]
    assert shapes == [12, 32, 240, 168, 10]
    assert count(create_model("lenet5_modern", width=0.1), (1, 1, 32, 32)).params < 1_000
