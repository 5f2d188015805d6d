"""After counting a model is as before, whatever its forward pass does; also where it raises."""

import functools
import random
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from torch import nn

from convatlas.cost import count, macs

SEEN = []
TABLES = {}
LATEST = None


@functools.cache
def table(size):
    return torch.arange(size).float()


class Slotted:
    __slots__ = ("value",)

    def __init__(self):
        self.value = None


class Keeper:
    def __init__(self):
        self.last = self.everything = None


class Restless(nn.Module):
    """Keeps what it computes in every kind of place that there is."""

    shared = None
    by_class: dict = {}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.table = None
        self.steps = torch.zeros(())
        self.register_buffer("late", None)
        self.register_buffer("seen", torch.zeros(4))
        self.maps, self.by_device, self.ways = [], {}, {"a": [{}]}
        self.ordered, self.counted = OrderedDict(), defaultdict(list)
        self.recent, self.sizes = deque(maxlen=2), set()
        self.keeper, self.slotted = Keeper(), Slotted()
        self.numbers = np.zeros(3)
        self.chance = torch.Generator()
        self.draw = random.Random(3)
        kept = []
        self.hook = self.layer.register_forward_hook(lambda module, args, out: kept.append(out))

    def forward(self, x, default=[None]):  # noqa: B006
        global LATEST
        y = self.norm(self.layer(x))
        self.table = torch.arange(4.0, device=x.device)
        self.steps += 1
        self.late, self.seen = y, y.mean(0)
        self.register_buffer("new", y)
        self.layer.extra = y
        self.maps.append(y)
        self.by_device[str(x.device)] = y
        self.ways["a"][0]["y"] = y
        self.ordered["y"] = y
        self.counted["y"].append(y)
        self.recent.append(y)
        self.sizes.add(len(self.maps))
        self.keeper.last, self.slotted.value = y, y
        self.keeper.everything = self
        self.numbers += self.draw.random() + random.random() + np.random.rand()  # noqa: NPY002
        torch.rand(1, generator=self.chance, device="cpu")
        torch.rand(1, device="cpu")
        default[0] = Restless.shared = LATEST = y
        self.by_class["y"] = TABLES["y"] = y
        SEEN.append(y)
        self.layer.weight.requires_grad_(False)
        self.norm.train()
        self.hook.remove()
        self.layer.register_forward_hook(lambda module, args, out: out)
        return y + table(4).to(x.device)


class Merging(nn.Module):
    """Adds its low-rank part to the weight for evaluation and takes it off for training."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))
        self.low = nn.Parameter(torch.ones(4, 1))
        self.merged = False

    def train(self, mode=True):
        if mode == self.merged:
            self.weight.data += (-1 if mode else 1) * self.low @ self.low.T
            self.merged = not mode
        return super().train(mode)

    def forward(self, x):
        y = x @ self.weight
        return y if self.merged else y + x @ self.low @ self.low.T


@pytest.fixture
def restless():
    model = Restless()
    yield model
    SEEN.clear()
    TABLES.clear()
    table.cache_clear()


def test_everything_that_a_model_keeps_is_as_before(restless, assert_unchanged):
    named = (Restless.shared, LATEST, Restless.forward.__defaults__[0][0], Restless.by_class)
    drawn = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert_unchanged(restless, lambda model: count(model, (2, 4)))
    assert (Restless.shared, LATEST, Restless.forward.__defaults__[0][0]) == named[:3]
    assert (SEEN, TABLES, Restless.by_class) == ([], {}, {})
    assert table.cache_info().currsize == 0
    assert drawn == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert torch.is_grad_enabled()
    assert restless(torch.ones(2, 4)).device.type == "cpu"


def test_what_a_model_kept_from_a_real_pass_stays(restless, assert_unchanged):
    restless(torch.ones(2, 4))
    assert SEEN
    held = list(SEEN), dict(TABLES), restless.table
    assert_unchanged(restless, lambda model: count(model, (2, 4)))
    assert all(now is then for now, then in zip(SEEN, held[0], strict=True))
    assert TABLES["y"] is held[1]["y"]
    assert table(4).device.type == "cpu"


def test_a_pass_that_raises_leaves_everything_too(restless, assert_unchanged):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.kept = restless, []

        def forward(self, x):
            self.kept.append(self.inner(x))
            raise RuntimeError("half way")

    def use(model):
        with pytest.raises(RuntimeError, match="half way"):
            count(model, (2, 4))

    assert_unchanged(Failing(), use)


def test_weights_merged_for_evaluation_are_counted_merged_and_stay_apart(assert_unchanged):
    model = Merging()
    assert_unchanged(model, lambda model: count(model, (1, 4)))
    assert count(model, (1, 4)).macs == 16  # neither the low-rank part nor the merge itself
    assert torch.equal(model.weight, torch.eye(4))


def test_function_keeps_nothing_of_its_shapes():
    kept = []

    def function(x):
        kept.append(x @ x)
        return kept[-1]

    assert macs(function, torch.ones(3, 3)) == 27
    assert kept == []
