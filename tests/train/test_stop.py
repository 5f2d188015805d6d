import os
import signal

import pytest

from convatlas.train.stop import StopRequest


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_first_ctrl_c_asks_and_second_interrupts():
    with StopRequest() as stop:
        press_ctrl_c()
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_afterwards_ctrl_c_is_what_it_was():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
