from math import log

import pytest

from convatlas.atlas.index import read_index
from convatlas.atlas.listing import published_accuracies
from convatlas.models import find_entry, register
from convatlas.models.registry import _entries
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.priority import architecture, by_priority, estimate, pareto_front
from convatlas.search.space import distinct_architectures
from convatlas.tasks.image_networks import at_sizes


def rows_of(*names, sizes=(32,)):
    return {n: at_sizes(find_entry(n), {"in_channels": 3, "num_classes": 10}, sizes) for n in names}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2", "resnet20_cifar"])
@pytest.mark.parametrize("size", [32, 128])
def test_a_guess_is_near_the_count(name, size):
    (sweep,) = at_sizes(find_entry(name), {"in_channels": 3, "num_classes": 1000}, [size])
    for candidate in sweep[:4]:
        guess = estimate(candidate)
        cost = count_candidate(candidate, Budget()).cost
        assert abs(log(guess.macs / cost.macs)) < log(2.5)


def test_the_published_count_is_its_own_guess():
    (sweep,) = at_sizes(find_entry("resnet50"), {"in_channels": 3, "num_classes": 1000}, [224])
    guess = estimate(next(c for c in sweep if c.options["width"] == 1.0))
    known = read_index()["resnet50"]
    assert (guess.params, guess.macs) == (known.params, known.macs)


def test_the_cost_of_every_network_that_competes_can_be_guessed():
    for entry in distinct_architectures("classify"):
        sweeps = at_sizes(entry, {"in_channels": 3, "num_classes": 10}, [32, 128])
        guesses = [estimate(candidate) for sweep in sweeps for candidate in sweep]
        assert all(guess is not None and guess.macs > 0 for guess in guesses), entry.name


def test_a_candidate_of_the_name_s_own_width_has_its_published_params():
    entry = find_entry("mobilenet_v2_w0.5")
    (row,) = at_sizes(entry, {"in_channels": 3, "num_classes": 10}, [96], fixed_width=True)
    assert estimate(row[0]).params == read_index()["mobilenet_v2_w0.5"].params


def test_what_cannot_fit_is_counted_last_and_the_user_s_own_first(monkeypatch):
    monkeypatch.setattr("convatlas.models.registry._entries", dict(_entries))
    register("my_own", find_entry("resnet18").cls)
    rows = rows_of("resnet152", "resnet20_cifar", "mobilenet_v2", "my_own")
    order = by_priority(rows, Budget(macs=5e6, params=1e5))
    assert order == ["my_own", "resnet20_cifar", "resnet152", "mobilenet_v2"]


def test_architectures_take_turns():
    rows = rows_of("resnet20_cifar", "resnet32_cifar", "resnet44_cifar", "mobilenet_v2")
    order = by_priority(rows, Budget())
    kinds = [architecture(name) for name in order]
    assert kinds.index("MobileNetV2") < 3


def test_nobody_stays_who_is_beaten_by_a_figure_of_its_own_paper():
    kept = pareto_front(distinct_architectures("classify"))
    names = {entry.name for entry in kept}
    published, known = published_accuracies(), read_index()
    for gone in {entry.name for entry in distinct_architectures("classify")} - names:
        cls, own = find_entry(gone).cls, published[gone]
        assert any(
            find_entry(name).cls is cls
            and (published[name].dataset, published[name].setting) == (own.dataset, own.setting)
            and published[name].value >= own.value
            and known[name].macs <= known[gone].macs
            and known[name].params <= known[gone].params
            for name in names
            if name in published and name in known
        ), gone
    assert {"lenet5", "mobilenet_v2", "resnet20_cifar"} <= names
