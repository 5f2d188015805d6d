"""Networks that a user registers compete as those of the atlas do."""

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import registry
from convatlas.models.registry import find_entry, register
from convatlas.pipeline.fit import fit
from convatlas.search.budget import Budget
from convatlas.search.costed import count_network
from convatlas.search.space import distinct_architectures
from convatlas.tasks.image_networks import at_sizes


class Mine(nn.Module):
    """A user's classifier."""

    def __init__(self, in_channels: int = 3, num_classes: int = 10, breaks: bool = False):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.classifier = nn.Linear(5 if breaks else 4, num_classes)

    def forward(self, x):
        return self.classifier(self.body(x))

    def example(self, batch: int = 1):
        return (torch.rand(batch, 3, 32, 32),)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    register("mine", Mine, "classify")
    register("mine_broken", Mine, "classify", breaks=True)
    register("mine_unnamed", Mine)


def test_one_with_a_task_competes_and_one_without_does_not(registered):
    names = {entry.name for entry in distinct_architectures("classify")}
    assert {"mine", "mine_broken"} <= names
    assert "mine_unnamed" not in names
    assert not find_entry("mine").ours


def test_one_that_breaks_is_named_and_the_others_go_on(registered):
    for name, fits in (("mine", True), ("mine_broken", False)):
        rows = at_sizes(find_entry(name), {"in_channels": 1, "num_classes": 3}, [32])
        (counted,) = count_network(rows, Budget())
        assert counted.fits == fits
        assert fits or "cannot be counted: RuntimeError" in counted.reason


def test_fit_refuses_a_network_of_a_task_that_it_does_not_have(tmp_path):
    register("mine_counts", Mine, "counting")
    try:
        with pytest.raises(UsageError, match="mine_counts is for the task counting, which"):
            fit(tmp_path, model="mine_counts")
    finally:
        del registry._entries["mine_counts"]
