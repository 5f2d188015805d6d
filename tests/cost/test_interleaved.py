"""Calls timed by turns: with a made-up clock, on which each call takes what the test says."""

import itertools

import pytest

from convatlas.cost import latency
from convatlas.cost.interleaved import spread, time_interleaved, time_steadily

STEADY, BUSY = [1.0], [1.0, 1.0, 1.0, 30.0]


class Clock:
    """Stands in for `time`: moves only by what a call takes."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def call(self, seconds):
        durations = itertools.cycle(seconds)

        def run():
            self.now += next(durations)

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


def test_calls_take_turns_in_alternating_order():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "abc"}
    times = time_interleaved(calls, seconds=0, min_runs=9, rounds=3)
    assert {name: len(each) for name, each in times.items()} == {"a": 9, "b": 9, "c": 9}
    per_turn = 3 + 2  # timed and warm-up
    assert order == [name for name in "abccbaabc" for _ in range(per_turn)]


def test_steady_calls_are_timed_once(clock):
    turns = time_steadily({"a": clock.call(STEADY), "b": clock.call([2.0])}, seconds=0)
    assert turns.tries == 1
    assert set(turns.times["b"]) == {2.0}


def test_busy_machine_is_tried_again_and_given_up(clock):
    said = []
    calls = {"a": clock.call(STEADY), "b": clock.call(BUSY)}
    turns = time_steadily(calls, seconds=0, tries=3, again=said.append)
    assert turns.tries == 3
    assert said[0] == "b varies too much (p90 is 30.00 times p10): timing again, 2 of 3"
    assert len(said) == 2
    assert spread(turns.times["b"]) == 30


def test_the_quiet_try_counts_whole(clock):
    """The first try is disturbed for both calls, the second for none."""
    noisy = [1.0, 9.0] * 9  # 3 rounds of 4 timed and 2 warm-up calls
    calls = {name: clock.call(noisy + [own] * 90) for name, own in (("a", 1.0), ("b", 4.0))}
    turns = time_steadily(calls, seconds=0)
    assert turns.tries == 2
    assert (set(turns.times["a"]), set(turns.times["b"])) == ({1.0}, {4.0})


def test_where_no_try_is_quiet_the_steadiest_counts(clock):
    durations = [*[1.0, 9.0] * 9, *[1.0, 3.0] * 9, *[1.0, 5.0] * 9]
    turns = time_steadily({"a": clock.call(durations)}, seconds=0)
    assert (turns.tries, spread(turns.times["a"])) == (3, 3)
