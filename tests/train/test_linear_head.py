"""The linear head against a slow plain solver, and what chooses its penalty."""

import pytest
import torch
import torch.nn.functional as F

from convatlas.train.linear_head import fit_linear_head


def blobs(count, features, classes=3, apart=2.0):
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    centres = apart * torch.randn(classes, features, generator=random)
    return centres[labels] + torch.randn(count, features, generator=random), labels


def plainly(features, labels, classes, penalty):
    """Many small steps down the same slope, in float64."""
    x = features.double()
    x = (x - x.mean(0)) / (x - x.mean(0)).square().mean().sqrt()
    weight = torch.zeros(classes, x.shape[1], dtype=torch.double, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.double, requires_grad=True)
    for _ in range(4000):
        loss = F.cross_entropy(x @ weight.T + bias, labels) + penalty / 2 * weight.square().sum()
        steps = torch.autograd.grad(loss, (weight, bias))
        with torch.no_grad():
            weight -= 0.5 * steps[0]
            bias -= 0.5 * steps[1]
    return (x @ weight.T + bias).detach().float()


def test_it_equals_many_small_steps_down_the_same_slope():
    features, labels = blobs(60, 5)
    features = 3 * features + 7  # neither centred nor of unit scale
    head = fit_linear_head(features, labels, 3, penalties=[0.1])
    expected = plainly(features, labels, 3, 0.1)
    torch.testing.assert_close(
        head.logits(features).log_softmax(1), expected.log_softmax(1), atol=2e-3, rtol=0
    )


def test_noise_asks_for_a_larger_penalty_than_classes_that_are_far_apart():
    clear, labels = blobs(90, 20, apart=3.0)
    noise = torch.randn(90, 20, generator=torch.Generator().manual_seed(1))
    assert fit_linear_head(noise, labels, 3).penalty > fit_linear_head(clear, labels, 3).penalty


def test_more_features_than_components_and_than_examples_are_no_trouble():
    features, labels = blobs(40, 300)
    head = fit_linear_head(features, labels, 3)
    assert (head.weight.shape, head.bias.shape) == ((3, 300), (3,))
    assert bool((head.logits(features).argmax(1) == labels).all())


def test_a_class_without_an_example_is_never_the_answer():
    features, labels = blobs(40, 8)
    head = fit_linear_head(features, labels, 5)
    assert int(head.logits(features).argmax(1).max()) < 3


@pytest.mark.parametrize("features", [torch.zeros(0, 4), torch.full((6, 4), float("nan"))])
def test_nothing_to_learn_from_is_refused(features):
    with pytest.raises(ValueError, match="finite numbers of at least one example"):
        fit_linear_head(features, torch.zeros(len(features), dtype=torch.long), 2)


def test_weights_of_examples_make_it_the_head_of_the_weighted_loss():
    features, labels = blobs(60, 5, apart=0.5)
    weights = torch.tensor([1.0, 4.0, 2.0])[labels]
    head = fit_linear_head(features, labels, 3, penalties=[0.1], example_weights=weights)
    x = (features - features.mean(0)).double()
    x = x / x.square().mean().sqrt()
    logits = head.logits(features).double().detach()
    scale = (features - features.mean(0)).square().mean().sqrt()
    share = (weights / weights.sum()).double()[:, None]
    error = share * (logits.softmax(1) - F.one_hot(labels))
    slope = error.T @ x + 0.1 * (head.weight * scale).double()  # of loss and penalty
    assert slope.abs().max() < 1e-3
    assert error.sum(0).abs().max() < 1e-3
    same = fit_linear_head(features, labels, 3, example_weights=torch.full((60,), 7.0))
    torch.testing.assert_close(same.weight, fit_linear_head(features, labels, 3).weight)
