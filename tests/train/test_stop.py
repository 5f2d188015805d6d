import os
import signal
import subprocess
import sys

import pytest

from convatlas.errors import Stopped
from convatlas.progress import Silent
from convatlas.train.stop import Stoppable, StopRequest


@pytest.fixture(autouse=True)
def usual_signals():
    """Let no signal be ignored: `nohup` and background jobs of a script hand that down."""
    usual = {signal.SIGINT: signal.default_int_handler}
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, usual.get(n, signal.SIG_DFL)) for n in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_is_acknowledged_at_once_and_the_second_interrupts(name, capfd):
    number = getattr(signal, name)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.number == number
        assert capfd.readouterr().err.strip() == (
            "stopping after this step; Ctrl-C again to discard the run"
        )
        second = KeyboardInterrupt if name == "SIGINT" else SystemExit
        with pytest.raises(second):
            os.kill(os.getpid(), number)


def test_afterwards_signals_are_what_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_work_before_training_ends_at_its_next_report():
    stop = StopRequest()
    bar = Stoppable(Silent(), stop).bar("reading")
    bar.update(1)
    stop.number = signal.SIGTERM
    with pytest.raises(Stopped, match="nothing was saved") as raised:
        bar.update(2)
    assert raised.value.exit_code == 143


def test_a_second_signal_waits_while_files_change_places(capfd):
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        done = []
        with pytest.raises(KeyboardInterrupt):
            _press_again(stop, done)
        assert done == ["moved"]


def _press_again(stop, done):
    with stop.held():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("moved")


def test_a_second_sigterm_ends_with_its_own_exit_code(capfd):
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit) as raised:
            os.kill(os.getpid(), signal.SIGTERM)
    assert raised.value.code == 143


def test_a_closed_terminal_does_not_end_the_work():
    """Its SIGHUP comes when nothing can be written to it any more."""
    kept = os.dup(2)
    read, write = os.pipe()
    os.close(read)
    try:
        before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.dup2(write, 2)
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.requested
    finally:
        os.dup2(kept, 2)
        signal.signal(signal.SIGPIPE, before)
        os.close(kept)
        os.close(write)


BUSY = """
import hashlib, os, signal, sys, threading
from convatlas.train import stop
with stop.StopRequest() as request:
    request.kept = "a checkpoint is kept"
    request.limit_s = float(sys.argv[2]) or None
    for delay in sys.argv[3:]:
        threading.Timer(float(delay), os.kill, (os.getpid(), int(sys.argv[1]))).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # one call that takes an hour
"""


def busy(number, limit_s, *delays):
    command = [sys.executable, "-c", BUSY, *map(str, (int(number), limit_s, *delays))]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_long_call_is_acknowledged_and_the_second_leaves(number):
    done = busy(number, 0, 0.1, 1.0)
    assert done.returncode == 128 + number
    assert done.stderr.strip() == "stopping after this step; Ctrl-C again to discard the run"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_call_longer_than_the_limit_is_left_after_one_signal():
    done = busy(signal.SIGTERM, 0.5, 0.1)
    assert done.returncode == 143
    assert [line for line in done.stderr.splitlines() if line] == [
        "stopping after this step; Ctrl-C again to discard the run",
        "left in the middle of the work; a checkpoint is kept",
    ]
