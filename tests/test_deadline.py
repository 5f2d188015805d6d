import threading

import pytest

from convatlas.deadline import (
    CLOSING_S,
    EXPORT_LAYER_S,
    EXPORT_S,
    SPIN_S,
    Deadline,
    slowdown,
)


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
    assert Deadline(60).for_training() == 60 - CLOSING_S - EXPORT_S
    assert Deadline(600).for_training(first=48) == 600 - 48 - 25


def test_an_export_of_many_layers_is_kept_more_time(clock):
    deadline = Deadline(100)
    deadline.expect_export(100)
    assert deadline.for_training() == 100 - CLOSING_S - EXPORT_S - 100 * EXPORT_LAYER_S


def test_a_short_limit_keeps_a_share_for_training_and_says_that_it_will_not_hold(clock):
    deadline = Deadline(10)
    assert deadline.for_training() == 10 - 3
    assert deadline.late() == pytest.approx(CLOSING_S + EXPORT_S - 3)


def test_a_late_start_cuts_training_short_and_not_away(clock):
    deadline = Deadline(60)
    clock[0] += 55
    assert deadline.for_training() == 6


def test_a_proof_takes_a_tenth_at_most(clock):
    assert Deadline(40).for_proof() == 4
    assert Deadline(4000).for_proof() == 10


def test_a_busy_machine_and_a_slow_test_leave_less_for_training(clock):
    deadline = Deadline(100)
    deadline.slowdown, deadline.test_s = 1.5, 10.0
    assert deadline.for_training() == pytest.approx(100 - 1.5 * (CLOSING_S + EXPORT_S) - 10)


def test_the_lateness_is_known_before_training(clock):
    deadline = Deadline(40)
    assert deadline.late() == pytest.approx(0)  # training takes what is left
    clock[0] += 30
    deadline.slowdown = 2.0
    assert deadline.late() == pytest.approx(4 + 2 * (CLOSING_S + EXPORT_S) - 10)


def test_other_programs_show_in_the_wall_clock(monkeypatch):
    here = threading.local()  # each thread has a clock of its own, which begins at 0

    def thread_time():
        here.used = getattr(here, "used", 0.0) + SPIN_S / 10
        return here.used

    def perf_counter():
        return 2 * getattr(here, "used", 0.0)  # another program has the other half

    monkeypatch.setattr("convatlas.deadline.time.thread_time", thread_time)
    monkeypatch.setattr("convatlas.deadline.time.perf_counter", perf_counter)
    assert 1.9 < slowdown() < 2.5
