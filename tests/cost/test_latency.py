"""Latency: what is reported and what is put back; never how long something took."""

import pytest
import torch
from torch import nn

from convatlas.cost import measure_latency
from convatlas.cost.latency import limited_threads, summarise, time_calls


@pytest.fixture
def model():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))


def test_fields_are_in_order_and_agree(model):
    took = measure_latency(model, (torch.rand(5, 3, 8, 8),), seconds=0.05)
    assert 0 < took.p10_s <= took.median_s <= took.p90_s
    assert (took.batch, took.device) == (5, "cpu")
    assert took.runs >= 10
    assert took.items_per_s == pytest.approx(5 / took.median_s)
    assert took.to_dict()["items_per_s"] == took.items_per_s


def test_spread_is_taken_from_the_sorted_times():
    took = summarise([5, 1, 4, 2, 3, 9, 7, 8, 6, 10], threads=1, batch=2, device="cpu")
    assert (took.p10_s, took.median_s, took.p90_s, took.runs) == (2, 5.5, 10, 10)


def test_model_runs_in_evaluation_mode_without_gradients_and_comes_back_as_it_was(model):
    model[1].eval()
    seen = []
    model.register_forward_pre_hook(
        lambda module, args: seen.append((module.training, torch.is_grad_enabled()))
    )
    statistics = model[1].running_mean.clone()
    measure_latency(model, (torch.rand(1, 3, 8, 8),), seconds=0.01)
    assert set(seen) == {(False, False)}
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert torch.equal(model[1].running_mean, statistics)


def test_threads_are_set_for_the_time_of_the_measurement_only(model):
    before = torch.get_num_threads()
    inside = []
    model.register_forward_pre_hook(lambda *_: inside.append(torch.get_num_threads()))
    took = measure_latency(model, (torch.rand(1, 3, 8, 8),), threads=1, seconds=0.01)
    assert set(inside) == {1}
    assert took.threads == 1
    assert torch.get_num_threads() == before


def test_threads_come_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), limited_threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_model_that_raises_comes_back_as_it_was(model):
    with pytest.raises(RuntimeError):
        measure_latency(model, (torch.rand(1, 4, 8, 8),), seconds=0.01)
    assert all(m.training for m in model.modules())


def test_warm_up_calls_are_not_among_the_times():
    calls = []
    times = time_calls(lambda: calls.append(0), seconds=0, min_runs=7)
    assert len(times) == 7
    assert len(calls) == 7 + 2
