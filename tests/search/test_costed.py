import pytest
import torch
from torch import nn

from convatlas.models import create_model, find_entry
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate, count_network, nearest_misses
from convatlas.search.space import Candidate
from convatlas.tasks.image_networks import at_sizes


def counted(name, budget, sizes=(32, 28)):
    rows = at_sizes(find_entry(name), {"in_channels": 1, "num_classes": 10}, sizes)
    return list(count_network(rows, budget))


def test_keeps_the_two_widest_that_fit_at_each_size():
    found = counted("resnet20_cifar", Budget(params=100_000))
    assert [
        (c.candidate.example["size"], c.candidate.options["width"]) for c in found if c.fits
    ] == [
        (32, 0.5),
        (32, 0.35),
        (28, 0.5),
        (28, 0.35),
    ]


def test_costs_are_those_of_the_network_itself():
    (first, *_) = counted("resnet20_cifar", Budget(params=100_000))
    model = create_model("resnet20_cifar", in_channels=1, num_classes=10, width=0.5)
    assert first.cost.params == sum(p.numel() for p in model.parameters())
    # Every convolution by hand: output pixels times weights.
    by_hand = 0

    def note(module, args, out):
        nonlocal by_hand
        pixels = out[0, 0].numel() if out.ndim == 4 else 1
        by_hand += pixels * module.weight.numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(note)
    model.eval()(torch.zeros(1, 1, 32, 32))
    assert first.cost.macs == by_hand


def test_a_hopeless_network_is_shown_once_with_its_excess():
    (only,) = counted("resnet152", Budget(params=10_000))
    assert not only.fits
    assert only.excess["params"] > 10
    assert "params" in only.reason


def test_a_size_that_it_cannot_take_is_no_excess():
    candidate = Candidate("lenet5", {"in_channels": 1, "num_classes": 10}, {"size": 28})
    answer = count_candidate(candidate, Budget(params=100_000))
    assert answer.cost is None
    assert "32" in answer.reason
    assert not answer.excess


def test_lenet_is_found_at_its_one_size():
    fitting = [c for c in counted("lenet5", Budget(params=100_000), (32, 28, 21)) if c.fits]
    assert [c.candidate.example["size"] for c in fitting] == [32]


def test_file_limit_counts_the_weights():
    assert not [c for c in counted("lenet5", Budget(file_bytes=100_000), (32,)) if c.fits]
    assert [c for c in counted("lenet5", Budget(file_bytes=300_000), (32,)) if c.fits]


def test_published_counts_rule_out_without_a_wrong_word():
    """What is skipped by its published count must really be over."""
    for budget in (Budget(macs=5e6), Budget(params=1e5)):
        for name in ("resnet1202_cifar", "resnet152", "mobilenet_v2", "shufflenet_v2", "vgg16"):
            for found in counted(name, budget):
                if found.cost is None and found.excess:
                    exact = count_candidate(found.candidate, budget)
                    assert exact.excess or exact.cost is None, found.candidate
    assert [c for c in counted("resnet152", Budget(params=1e4)) if c.cost is None]


def test_nearest_misses_are_sorted():
    everything = counted("resnet152", Budget(params=1e4)) + counted("lenet5", Budget(params=1e4))
    assert nearest_misses(everything)[0].candidate.name == "lenet5"


@pytest.mark.parametrize("name", ["linear_classifier", "shufflenet_v2", "pydmobilenet29_cifar"])
def test_every_fitting_candidate_runs(name):
    for found in counted(name, Budget(params=100_000, macs=5e6), (28,)):
        if found.fits:
            out = found.candidate.build().eval()(torch.zeros(1, 1, 28, 28))
            assert out.shape == (1, 10)


def test_a_network_whose_cost_hangs_on_values_is_out_with_its_reason():
    class Deciding(nn.Module):
        def __init__(self, in_channels=3, num_classes=10):
            super().__init__()
            self.head = nn.Linear(in_channels, num_classes)

        def forward(self, x):
            return self.head(x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3)))

    class Candid:
        name = "deciding"
        build = staticmethod(lambda: Deciding(1))
        inputs = staticmethod(lambda model: (torch.rand(1, 1, 8, 8),))

    found = count_candidate(Candid(), Budget())
    assert not found.fits
    assert "decides by values what it computes" in found.reason
