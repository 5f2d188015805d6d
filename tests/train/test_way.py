"""A run goes on the way that a step of its network is fastest, and gives back torch's layers."""

import copy
import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.kernels import fast_layers
from convatlas.kernels.layers.choose import CHANNELS_LAST, KERNELS, TORCH
from convatlas.kernels.layers.fast_layers import is_fast
from convatlas.progress import Silent
from convatlas.train import way as ways
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify
from convatlas.train.way import FastestWay

RECIPE = Recipe(optimizer="sgd", epochs=3, batch_size=8, lr=0.02)
CPU = SimpleNamespace(device=torch.device("cpu"), num_processes=1, mixed_precision="no")


class Watched(Classify):
    """Brightness on the left or on the right; remembers how each network computes a batch."""

    def __init__(self):
        labels = torch.arange(48) % 2
        images = torch.randint(0, 60, (48, 3, 7, 7), generator=torch.Generator().manual_seed(1))
        for image, label in zip(images, labels, strict=True):
            image[..., 4 * label : 4 * label + 4] += 150
        data = TensorDataset(images.to(torch.uint8), labels)
        normalise = lambda batch: batch.float() / 255 - 0.5  # noqa: E731  # used once
        augment = lambda x: x + torch.rand(()) * 20  # noqa: E731  # shows where chance was asked
        super().__init__(data, data, num_classes=2, augment=augment, normalise=normalise)
        self.seen = []

    def loss(self, model, batch):
        self.seen.append((is_fast(model), next(model.parameters()).is_contiguous()))
        return super().loss(model, batch)

    def validate(self, model, loader, gather):
        self.seen.append((is_fast(model), next(model.parameters()).is_contiguous()))
        return super().validate(model, loader, gather)


class Heard(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.AdaptiveAvgPool2d((1, 2)),
        nn.Flatten(),
        nn.Dropout(0.1),  # of a map, torch draws it in the order of memory
        nn.Linear(32, 2),
    )


@pytest.fixture
def measured(monkeypatch):
    """Returns a function that makes one way the fastest, for a run of any length."""

    def pretend(best):
        asked = []

        def seconds(model, inputs, *, named, limit_s):
            asked.append(([tuple(x.shape) for x in inputs], dict(named), limit_s))
            return {way: 0.01 if way == best else 0.02 for way in (TORCH, CHANNELS_LAST, KERNELS)}

        monkeypatch.setattr(ways, "step_seconds", seconds)
        return asked

    return pretend


@pytest.fixture
def _any_length(monkeypatch):
    monkeypatch.setattr(ways, "MIN_MEASURING_S", 0.0)
    monkeypatch.setattr(ways, "MEASURED_STEPS", 0)


@pytest.mark.usefixtures("_any_length")
@pytest.mark.parametrize("best", [TORCH, CHANNELS_LAST, KERNELS])
def test_a_run_goes_the_measured_way_with_the_same_losses_and_comes_back_plain(best, measured):
    if best == KERNELS:
        pytest.importorskip("numba")
    asked, plain, model = measured(best), network(), network()
    expected, found, task, heard = RunLog(), RunLog(), Watched(), Heard()
    train(plain, Watched(), RECIPE, log=expected, way=TORCH)
    assert asked == []
    kinds = [type(m) for m in model.modules()]
    train(model, task, RECIPE, log=found, progress=heard)
    assert [shapes for shapes, _, _ in asked] == [[(8, 3, 7, 7)]]  # once, the first batch
    first, *rest = task.seen
    assert first == (False, True)
    assert set(rest) == {(best == KERNELS, best != CHANNELS_LAST)}
    assert [type(m) for m in model.modules()] == kinds
    assert all(p.is_contiguous() for p in model.parameters())
    kernels = "training with the CPU kernels: a step takes 10 ms, without them 20 ms"
    assert heard.said == ([kernels] if best == KERNELS else [])
    for ours, theirs in zip(found.rows, expected.rows, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4, abs=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_any_length")
def test_measuring_changes_neither_weights_nor_batches_nor_chance(monkeypatch):
    measure, plain, model = ways.step_seconds, network(), network()

    def torch_wins(*given, **options):
        assert measure(*given, **options).keys() >= {TORCH, CHANNELS_LAST}
        return {TORCH: 0.0, CHANNELS_LAST: 1.0}

    monkeypatch.setattr(ways, "step_seconds", torch_wins)
    train(plain, Watched(), RECIPE, way=TORCH)
    train(model, Watched(), RECIPE)
    for a, b in zip(plain.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.usefixtures("_any_length")
def test_layers_are_torchs_again_after_an_error(measured):
    measured(KERNELS)
    model, task = network(), Watched()
    loss, calls = task.loss, itertools.count()

    def breaks(model, batch):
        if next(calls) == 2:
            raise ZeroDivisionError
        return loss(model, batch)

    task.loss = breaks
    with pytest.raises(ZeroDivisionError):
        train(model, task, RECIPE)
    assert not is_fast(model)


@pytest.mark.usefixtures("_any_length")
def test_a_network_that_cannot_be_measured_is_trained_as_it_is(monkeypatch):
    def fails(*given, **options):
        raise RuntimeError("Only Tensors created explicitly by the user support deepcopy")

    monkeypatch.setattr(ways, "step_seconds", fails)
    task = Watched()
    assert train(network(), task, RECIPE).ended == "epochs"
    assert set(task.seen) == {(False, True)}


@pytest.mark.usefixtures("_any_length")
def test_a_network_whose_way_is_chosen_keeps_it(measured):
    asked = measured(TORCH)
    fast, last = fast_layers(network()), network().to(memory_format=torch.channels_last)
    for model in (fast, last):
        train(model, Watched(), RECIPE)
    assert asked == []
    assert is_fast(fast)
    assert not last[0].weight.is_contiguous()


def test_a_short_run_measures_nothing(measured):
    asked = measured(KERNELS)
    train(network(), Watched(), RECIPE)
    train(network(), Watched(), RECIPE.with_options(epochs=1e6), limit_s=0.5)
    assert asked == []


@pytest.mark.parametrize(
    ("step_s", "steps", "limit_s", "for_compiling"),
    [
        (0.1, 10_000, None, 50 - 10 - 1.2),  # 5 % of 1,000 s, less a kernel and the steps
        (0.1, 10**6, 1000.0, 50 - 10 - 1.2),
        (0.1, 900, 1000.0, 0.0),  # 4.5 s: what is on disk only
        (0.1, 500, 1000.0, None),  # over in 50 s
        (0.1, 10**6, 50.0, None),
        (1.0, 10**6, 200.0, None),  # twelve steps are more than 5 %
        (1.0, 10**6, 260.0, 0.0),
    ],
)
def test_measuring_takes_five_percent_at_most(
    step_s, steps, limit_s, for_compiling, measured, monkeypatch
):
    asked, model, x = measured(TORCH), network(), torch.rand(2, 3, 8, 8)
    clock = itertools.chain([0.0], itertools.repeat(step_s))
    monkeypatch.setattr(ways.time, "perf_counter", lambda: next(clock))
    with FastestWay(model, None, print) as way:
        way.watch(model, CPU)
        model(x)
        way.choose(model, steps=steps, limit_s=limit_s)
        way.choose(model, steps=steps, limit_s=limit_s)  # only the first step counts
    assert [limit for _, _, limit in asked] == pytest.approx(
        [] if for_compiling is None else [for_compiling]
    )


@pytest.mark.usefixtures("_any_length")
@pytest.mark.parametrize(
    "change",
    [{"device": torch.device("cuda")}, {"num_processes": 2}, {"mixed_precision": "bf16"}],
)
def test_nothing_is_measured_on_an_accelerator_in_short_numbers_or_many_processes(change, measured):
    asked, model = measured(KERNELS), network()
    with FastestWay(model, None, print) as way:
        way.watch(model, SimpleNamespace(**(vars(CPU) | change)))
        model(torch.rand(2, 3, 8, 8))
        way.choose(model, steps=10**6, limit_s=None)
        assert not is_fast(model)
    assert asked == []
    assert not model._forward_pre_hooks


@pytest.mark.usefixtures("_any_length")
def test_inputs_by_name_are_given_by_name(measured):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x, *, times=1):
            return self.layer(x) * times

    asked, model = measured(TORCH), Named()
    with FastestWay(model, None, print) as way:
        way.watch(model, CPU)
        model.eval()(torch.rand(4, 3), times=5)
        copy.deepcopy(model).train()(torch.rand(5, 3), times=5)
        model.train()(torch.rand(2, 3, requires_grad=True) * 2, times=3)
        way.choose(model, steps=10**6, limit_s=None)
    assert [(shapes, named) for shapes, named, _ in asked] == [([(2, 3)], {"times": 3})]
