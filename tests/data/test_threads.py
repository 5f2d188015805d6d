"""Threads that read: order, names of what hangs, and an end in any case."""

import subprocess
import sys
import threading
from contextlib import closing

import pytest

from convatlas.data import threads
from convatlas.data.threads import in_threads, reading_threads
from convatlas.errors import DataError


def test_a_file_that_never_answers_is_named(monkeypatch):
    monkeypatch.setattr(threads, "SAY_AFTER_S", 0.05)
    monkeypatch.setattr(threads, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr("convatlas.data.reading_pool.CLOSE_S", 0.1)
    said, never = [], threading.Event()

    def read(number):
        return number if number != 3 else never.wait()

    with (
        reading_threads(2, said.append, limit_s=0.3),
        pytest.raises(DataError, match=r"^photos/3\.png: no file was read for 0 s"),
        closing(in_threads(read, range(40), name=lambda i: f"photos/{i}.png")) as results,
    ):
        list(results)
    never.set()
    assert len(said) == 1
    assert "waiting for photos/3.png" in said[0]


def test_time_that_the_taker_spends_elsewhere_is_no_hanging():
    with reading_threads(2, limit_s=0.2), closing(in_threads(str, range(600))) as results:
        first = next(results)
        threading.Event().wait(0.5)
        assert [first, *results] == [str(i) for i in range(600)]


def test_what_a_file_raises_comes_out_at_its_place():
    def read(number):
        if number == 5:
            raise TimeoutError("gone")
        return number

    seen = []
    with pytest.raises(TimeoutError, match="gone"), closing(in_threads(read, range(9))) as results:
        seen += results
    with reading_threads(1), closing(in_threads(read, range(5))) as results:
        assert list(results) == [0, 1, 2, 3, 4]


def test_python_ends_though_a_file_hangs():
    program = (
        "import threading\n"
        "from contextlib import closing\n"
        "from convatlas.data.threads import in_threads, reading_threads\n"
        "with reading_threads(1, limit_s=0.1), closing(in_threads(lambda i: "
        "threading.Event().wait(), range(2))) as results:\n"
        "    list(results)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"DataError: 0: no file was read" in done.stderr
