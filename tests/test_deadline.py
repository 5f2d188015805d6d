import pytest

from convatlas.deadline import Deadline


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands where it is set."""
    now = [100.0]
    monkeypatch.setattr("convatlas.deadline.time.perf_counter", lambda: now[0])
    return now


def test_the_limit_counts_from_the_start_of_the_job(clock):
    deadline = Deadline(60, started=90.0)
    assert (deadline.spent(), deadline.left()) == (10, 50)


def test_training_leaves_time_for_what_follows(clock):
    assert Deadline(60).for_training() == 60 - 18
    assert Deadline(600).for_training(first=48) == 600 - 48 - 25


def test_a_late_start_cuts_training_short_and_not_away(clock):
    deadline = Deadline(60)
    clock[0] += 55
    assert deadline.for_training() == 6


def test_a_proof_takes_a_tenth_at_most(clock):
    assert Deadline(40).for_proof() == 4
    assert Deadline(4000).for_proof() == 10
