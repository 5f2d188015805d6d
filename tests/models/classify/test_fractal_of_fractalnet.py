import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.fractal_of_fractalnet import FractalOfFractalNet, freeze_drop_path


def _tiny(**options):
    torch.manual_seed(0)
    return FractalOfFractalNet(width=0.0625, num_classes=3, dropout=0.0, drop_path=0.0, **options)


def test_counts_are_those_of_the_released_network(counted):
    assert counted("fractal_of_fractalnet_cifar") == (38_534_154, 11_817_144_320)


def test_it_has_49_convolutions():
    convs = [m for m in _tiny().modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 49


@pytest.mark.parametrize("last_join", ["mean", "sum", "taylor"])
def test_blocks_are_wired_as_in_the_release(last_join):
    model = _tiny(last_join=last_join).eval()
    x = torch.rand(2, 3, 32, 32)
    u = model.units
    first = (u["u2"](u["u1"](x)) + u["u3"](x)) / 2
    short, middle, long = u["u7"](x), u["u6"](first), u["u5"](u["u4"](first))
    assert short.shape == middle.shape == long.shape == (2, 32, 2, 2)
    joined = {
        "mean": (short + middle + long) / 3,
        "sum": short + middle + long,
        "taylor": short + middle * middle + long * long * long,
    }[last_join]
    weight, bias = model.classifier.weight, model.classifier.bias
    torch.testing.assert_close(model(x), F.linear(joined.flatten(1), weight, bias))


def _paths():
    return [torch.full((1, 1, 1, 1), v, requires_grad=True) for v in (1.0, 10.0, 100.0)]


@pytest.mark.parametrize(("active", "expected"), [(0, 1.0), (1, 11.0), (2, 111.0), (None, 111.0)])
def test_freeze_drop_path_adds_up_to_the_active_path_and_only_that_learns(active, expected):
    paths = _paths()
    y = freeze_drop_path(paths, active)
    assert y.item() == expected
    y.sum().backward()
    learns = [path.grad is not None for path in paths]
    assert learns == [active is None or i == active for i in range(3)]


def _who_learns(model, share):
    """Units that get a gradient after `share` of the training."""
    model.zero_grad()
    model.train().training_progress(share)
    model(torch.rand(2, 3, 32, 32)).sum().backward()
    return {n for n, u in model.units.items() if u.columns[0][0][0].weight.grad is not None}


LONG = {"u1", "u2", "u3", "u4", "u5"}


@pytest.mark.parametrize(
    ("intervals", "turns"),  # of a path's turn in a cycle: places just before and after its end
    [
        ("squares", (1 / 14, 5 / 14)),
        ("equal", (1 / 3, 2 / 3)),
        ("decreasing", (9 / 14, 13 / 14)),
    ],
)
@pytest.mark.parametrize("cycles", [1, 4])
def test_freeze_drop_path_gives_each_path_its_turn_in_every_cycle(intervals, turns, cycles):
    model = _tiny(last_join="sum", freeze="drop_path", intervals=intervals, cycles=cycles)
    first, second = turns
    for cycle in range(cycles):
        for place, path in (
            (1e-3, {"u7"}),
            (first - 1e-3, {"u7"}),
            (first + 1e-3, {"u6", "u1", "u2", "u3"}),
            (second - 1e-3, {"u6", "u1", "u2", "u3"}),
            (second + 1e-3, LONG),
            (1 - 1e-3, LONG),
        ):
            assert _who_learns(model, (cycle + place) / cycles) == path


def test_random_turns_are_as_likely_as_their_intervals_are_long():
    model = _tiny(last_join="taylor", freeze="drop_path", random_order=True)
    torch.manual_seed(0)
    turns = [0, 0, 0]
    for _ in range(1400):
        model.training_progress(0.5)
        turns[model.active] += 1
    assert turns == [pytest.approx(100 * k, abs=60) for k in (1, 4, 9)]


def test_frozen_paths_keep_their_weights_while_all_are_added():
    model = _tiny(freeze="path", intervals="equal")
    everything = LONG | {"u6", "u7"}
    assert _who_learns(model, 0.0) == everything
    assert _who_learns(model, 0.5) == everything - {"u7"}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    before = {k: v.clone() for k, v in model.named_parameters()}
    assert _who_learns(model, 0.9) == LONG
    optimizer.step()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(("units.u6", "units.u7"))
        assert torch.equal(parameter, before[name]) == frozen, name


def test_without_a_schedule_all_paths_learn():
    model = _tiny(last_join="sum", freeze="drop_path").train()
    model(torch.rand(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_evaluation_adds_all_paths_whatever_the_schedule_says():
    model = _tiny(last_join="sum", freeze="drop_path").eval()
    x = torch.rand(2, 3, 32, 32)
    expected = model(x)
    for share in (0.0, 0.5, 0.999):
        model.training_progress(share)
        assert torch.equal(model(x), expected)


def test_joins_between_blocks_drop_paths_in_training_only():
    model = FractalOfFractalNet(width=0.0625, num_classes=3, dropout=0.0, drop_path=0.5)
    for unit in model.units.values():
        unit.drop_path = 0.0
    for module in model.modules():  # norms as in evaluation: only the two joins are left to chance
        module.training = module is model
    x = torch.rand(1, 3, 32, 32)
    assert len({model(x).sum().item() for _ in range(60)}) > 7
    assert len({model.eval()(x).sum().item() for _ in range(5)}) == 1


def test_dropout_rises_by_unit():
    rates = {
        name: {round(m.p, 6) for m in unit.modules() if isinstance(m, nn.Dropout)}
        for name, unit in create_model("fractal_of_fractalnet_cifar", width=0.05).units.items()
    }
    expected = {"u1": 0, "u2": 0.1, "u3": 0.1, "u4": 0.2, "u5": 0.3, "u6": 0.3, "u7": 0.3}
    assert rates == {name: {rate} for name, rate in expected.items()}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"last_join": "max"}, "last_join must be one of mean, sum, taylor, got max"),
        ({"freeze": "all"}, "freeze must be one of none, path, drop_path, got all"),
        ({"intervals": "cubes"}, "intervals must be one of squares, equal, decreasing"),
        ({"freeze": "drop_path"}, "must have last_join='sum' or 'taylor', got 'mean'"),
        ({"cycles": 0}, "cycles must be from 1 up"),
        ({"drop_path": 1.0}, "drop_path from 0 to under 1"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        FractalOfFractalNet(**wrong)
