import pytest
from pydantic import ValidationError

from convatlas.search.budget import Budget


def test_excess_names_what_is_over_and_by_how_much():
    budget = Budget(params=100, macs=1000)
    assert budget.excess(params=150, macs=1000, latency_s=9.0) == {"params": 1.5}


def test_an_unknown_cost_is_not_over():
    assert Budget(latency_s=0.01).excess(latency_s=None) == {}


def test_a_budget_without_limits_is_open():
    assert Budget().is_open()
    assert not Budget(file_bytes=1e6).is_open()


@pytest.mark.parametrize("wrong", [{"params": 0}, {"macs": -1}, {"parms": 5}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Budget(**wrong)
