import math

import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.capsnet import CapsNet, lengths, margin_loss, route, squash

COUNTS = {
    "capsnet": 8_215_568,
    "capsnet_multimnist": 11_361_808,
}


@pytest.mark.parametrize("name", COUNTS)
def test_params_are_the_sum_of_the_papers_parts(name, counted):
    params, _ = counted(name)
    assert params == COUNTS[name]


@pytest.mark.parametrize("iterations", [1, 3])
def test_macs_are_convolutions_votes_and_routing(iterations, counted):
    params, macs = counted("capsnet", decoder=False, iterations=iterations)
    assert params == 20_992 + 5_308_672 + 1_474_560
    assert macs == 199_397_376 + 1_474_560 + 184_320 * (2 * iterations - 1)


def _tiny(**options):
    torch.manual_seed(0)
    options = {"size": 20, "width": 0.0625, "num_classes": 3, **options}
    return CapsNet(**options)


def _plain_squash(vector):
    squared = sum(float(v) ** 2 for v in vector)
    return [float(v) * squared / (1 + squared) / math.sqrt(squared) for v in vector]


def _plain_routing(votes, iterations, *, nobody):
    """Procedure 1 for one image, number by number: votes[j][i] is a list of d numbers."""
    classes, capsules, d = len(votes), len(votes[0]), len(votes[0][0])
    b = [[0.0] * capsules for _ in range(classes)]
    v = []
    for iteration in range(iterations):
        c = [[0.0] * capsules for _ in range(classes)]
        for i in range(capsules):
            total = sum(math.exp(b[j][i]) for j in range(classes)) + (1.0 if nobody else 0.0)
            for j in range(classes):
                c[j][i] = math.exp(b[j][i]) / total
        v = []
        for j in range(classes):
            s = [sum(c[j][i] * votes[j][i][k] for i in range(capsules)) for k in range(d)]
            v.append(_plain_squash(s))
        if iteration + 1 < iterations:
            for j in range(classes):
                for i in range(capsules):
                    b[j][i] += sum(votes[j][i][k] * v[j][k] for k in range(d))
    return v


@pytest.mark.parametrize("iterations", [1, 2, 3])
@pytest.mark.parametrize("nobody", [False, True])
def test_routing_is_the_papers_procedure(iterations, nobody):
    torch.manual_seed(0)
    votes = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    expected = [_plain_routing(image, iterations, nobody=nobody) for image in votes.tolist()]
    got = route(votes, iterations, none_of_above=nobody)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=got.dtype))


@pytest.mark.parametrize("primary_dim", [8, 6])
def test_votes_have_a_matrix_for_each_place_kind_and_class(primary_dim):
    model = _tiny(primary_dim=primary_dim, class_dim=4).double().eval()
    x = torch.rand(2, 1, 20, 20, dtype=torch.float64)
    maps = F.conv2d(x, model.stem[0].weight, model.stem[0].bias).relu()
    maps = F.conv2d(maps, model.primary.weight, model.primary.bias, stride=2)
    n, side = 2, 2
    votes = torch.zeros(n, 3, 2 * side * side, 4, dtype=x.dtype)
    for image in range(n):
        for kind in range(2):
            for place in range(side * side):
                row, column = divmod(place, side)
                u = maps[image, kind * primary_dim : (kind + 1) * primary_dim, row, column]
                u = torch.tensor(_plain_squash(u.tolist()), dtype=x.dtype)
                i = kind * side * side + place
                for j in range(3):
                    w = model.classes.votes[i, :, 4 * j : 4 * (j + 1)]  # (primary_dim, class_dim)
                    votes[image, j, i] = u @ w
    expected = [_plain_routing(image, 3, nobody=False) for image in votes.tolist()]
    torch.testing.assert_close(model.capsules(x), torch.tensor(expected, dtype=x.dtype))


def test_squash_keeps_directions_and_maps_lengths():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.1], [300.0, -400.0]])
    y = squash(x)
    torch.testing.assert_close(y.norm(dim=1), torch.tensor([25 / 26, 0.01 / 1.01, 1.0]))
    torch.testing.assert_close(F.normalize(y), F.normalize(x))


def test_gradients_at_zero_are_finite():
    x = torch.zeros(2, 4, requires_grad=True)
    lengths(squash(x)).log().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 500.0])
def test_float16_vectors_of_any_length_are_squashed_as_in_float64(size):
    x = size * torch.randn(5, 8, dtype=torch.float64)
    expected, got = squash(x), squash(x.half())
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.double(), expected, rtol=5e-2, atol=1e-7)
    assert squash(torch.zeros(1, 8).half()).eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_trains_in_half_precision_and_under_autocast(dtype):
    x, labels = torch.rand(2, 1, 20, 20), torch.tensor([0, 2])
    for half in (True, False):
        model = _tiny(in_channels=1).train().to(dtype if half else torch.float32)
        with torch.autocast("cpu", dtype, enabled=not half):
            loss = model.loss(model(x.to(dtype) if half else x), labels)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_in_evaluation_the_softmax_is_each_lengths_share():
    model = _tiny().eval()
    x = torch.rand(4, 1, 20, 20)
    size = model.capsules(x).norm(dim=2)
    torch.testing.assert_close(model(x).softmax(1), size / size.sum(1, keepdim=True))


def test_margin_loss_is_equation_4():
    size = torch.tensor([[0.95, 0.3, 0.05], [0.5, 0.2, 0.7]])
    first = 0.5 * (0.3 - 0.1) ** 2
    second = (0.9 - 0.2) ** 2 + 0.5 * (0.4**2 + 0.6**2)
    got = margin_loss(size, torch.tensor([[0], [1]]))
    assert got.item() == pytest.approx((first + second) / 2)


def test_margin_loss_takes_two_classes_in_an_image():
    size = torch.tensor([[0.8, 0.3, 0.05]])
    expected = 0.1**2 + (0.9 - 0.3) ** 2
    assert margin_loss(size, torch.tensor([[0, 1]])).item() == pytest.approx(expected)


def test_the_loss_adds_the_error_of_the_drawing_of_the_true_class():
    model = _tiny().train()
    x, labels = torch.rand(4, 1, 20, 20), torch.tensor([0, 2, 1, 1])
    outputs = model(x)
    masked = torch.zeros_like(outputs.capsules)
    for image, label in enumerate(labels.tolist()):
        masked[image, label] = outputs.capsules[image, label]
    drawn = model.decoder(masked.flatten(1)).view_as(x)
    margin = margin_loss(outputs.capsules.norm(dim=2), labels[:, None])
    expected = margin + 0.0005 * (drawn - x).square().sum() / 4
    torch.testing.assert_close(model.loss(outputs, labels, F.cross_entropy), expected)


def test_normalised_images_are_compared_in_the_range_that_the_decoder_can_draw():
    model = _tiny().train()
    x, labels = torch.rand(4, 1, 20, 20), torch.tensor([0, 2, 1, 1])
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0.0, 1.0
    outputs = model(x)
    shifted = outputs._replace(images=(outputs.images - 0.13) / 0.3)
    torch.testing.assert_close(model.loss(shifted, labels), model.loss(outputs, labels))


def test_overlapping_things_are_drawn_one_by_one_against_their_own_images():
    model = _tiny().train()
    images = torch.rand(2, 2, 1, 20, 20)
    labels = torch.tensor([[0, 1], [2, 0]])
    outputs = model(images.amax(1))
    wrong = sum(
        (model.reconstruct(outputs.capsules, labels[:, k]) - images[:, k]).square().sum()
        for k in range(2)
    )
    margin = margin_loss(lengths(outputs.capsules), labels)
    got = model.loss(outputs, (labels, images))
    torch.testing.assert_close(got, margin + 0.0005 * wrong / 2)


def test_without_labels_the_longest_vector_is_drawn():
    model = _tiny().eval()
    capsules = model.capsules(torch.rand(3, 1, 20, 20))
    longest = capsules.norm(dim=2).argmax(1)
    assert torch.equal(model.reconstruct(capsules), model.reconstruct(capsules, longest))
    with pytest.raises(UsageError, match="build with decoder=True"):
        _tiny(decoder=False).reconstruct(capsules)


def test_a_network_without_decoder_trains_by_the_margin_alone():
    model = _tiny(decoder=False).train()
    outputs, labels = model(torch.rand(2, 1, 20, 20)), torch.tensor([1, 0])
    expected = margin_loss(lengths(outputs.capsules), labels[:, None])
    assert torch.equal(model.loss(outputs, labels), expected)
    model.loss(outputs, labels).backward()
    assert all(p.grad.abs().max() > 0 for p in model.parameters())


def test_starting_votes_are_cut_normal_of_deviation_a_tenth():
    votes = create_model("capsnet", decoder=False).classes.votes
    assert votes.abs().max() <= 0.2
    assert votes.std().item() == pytest.approx(0.088, abs=0.001)  # of N(0, 0.1) cut at 2 sigma


@pytest.mark.parametrize("wrong", [{"size": 16}, {"iterations": 0}, {"primary_dim": 0}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(UsageError, match="CapsNet: size must be from 17 up, and channels"):
        CapsNet(**wrong)
