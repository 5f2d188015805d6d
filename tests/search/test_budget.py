import pytest
from pydantic import BaseModel, ValidationError

from convatlas.errors import UsageError
from convatlas.search.budget import Budget


def test_excess_names_what_is_over_and_by_how_much():
    budget = Budget(params=100, macs=1000)
    assert budget.excess(params=150, macs=1000, latency_s=9.0) == {"params": 1.5}


def test_an_unknown_cost_is_not_over():
    assert Budget(latency_s=0.01).excess(latency_s=None) == {}


def test_a_lower_limit_is_missed_by_how_many_times_more_it_asks_for():
    budget = Budget(throughput="1k", memory_bytes="1MB")
    assert budget.excess(throughput=250.0, memory_bytes=2_000_000) == {
        "throughput": 4.0,
        "memory_bytes": 2.0,
    }
    assert budget.excess(throughput=1000.0, memory_bytes=1_000_000) == {}
    assert budget.excess(throughput=None) == {}


def test_a_budget_without_limits_is_open():
    assert Budget().is_open()
    assert not Budget(file_bytes=1e6).is_open()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"params": 0}, "params must be above zero"),
        ({"macs": -1}, "macs must be above zero"),
        ({"latency_s": float("nan")}, "latency_s must be above zero and finite"),
        ({"params": [1]}, "params must be a number or text"),
        ({"params": True}, "params must be above zero and finite, got True"),
        ({"params": "1X"}, "Budget: params: '1X' is not a number: no unit 'X'"),
        ({"latency_s": "2MB"}, "Budget: latency_s: '2MB' is not a time"),
        ({"parms": 5}, "no limit 'parms'; did you mean params\\?"),
        ({"latency": 5}, "no limit 'latency'; did you mean latency_s\\?"),
        ({"max_size": 5}, "did you mean file_bytes\\?"),
        ({"weight": 5}, "there are params, macs, latency_s, file_bytes, memory_bytes, throughput"),
        ({"max_memory": 5}, "did you mean memory_bytes\\?"),
    ],
)
def test_nonsense_is_refused_with_the_nearest_name(wrong, message):
    with pytest.raises(UsageError, match=message):
        Budget(**wrong)


def test_limits_are_typed_as_on_the_command_line():
    typed = Budget(params="1M", macs="50M", latency_s="10ms", file_bytes="2MB")
    assert typed == Budget(params=1e6, macs=50e6, latency_s=0.010, file_bytes=2e6)
    assert Budget.model_validate_json(typed.model_dump_json()) == typed


def test_a_stored_budget_that_is_none_is_refused_as_stored_data():
    class Holder(BaseModel):
        budget: Budget

    with pytest.raises(ValidationError):
        Holder.model_validate_json('{"budget": {"parms": 5}}')
    with pytest.raises(ValidationError):
        Holder.model_validate_json('{"budget": {"params": -1}}')
