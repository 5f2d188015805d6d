"""Two processes train as one does with the same batches, agree on its end, and leave nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from convatlas.train.checkpoints import Checkpoints
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.processes import Processes
from train import two_processes as two

SCRIPT = Path(two.__file__)
PATIENCE_S = 300  # of a busy machine


def launched(what, folder, on_cpu="true"):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(SCRIPT), what, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": on_cpu}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def running(folder):
    """Which of the two processes are still there."""
    numbers = [int((folder / f"pid-{number}").read_text()) for number in range(2)]
    return [number for number in numbers if Path(f"/proc/{number}").exists()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def both(folder):
    process = launched("equal", folder)
    output, _ = process.communicate(timeout=PATIENCE_S)
    found = [folder / f"{number}.pt" for number in range(2)]
    assert all(path.is_file() for path in found), output
    return *(torch.load(path, weights_only=False) for path in found), process.returncode, output


def close(found, expected):
    for name, value in expected["weights"].items():
        torch.testing.assert_close(found["weights"][name], value, rtol=1e-5, atol=1e-6)
    for row, wanted in zip(found["rows"], expected["rows"], strict=True):
        assert row == pytest.approx(wanted, rel=1e-4, nan_ok=True)
    assert found["figures"] == pytest.approx(expected["figures"], rel=1e-4)
    assert found["kept_epoch"] == expected["kept_epoch"]


@pytest.mark.parametrize("name", ["sgd", "adamw", "short", "skip"])
def test_two_processes_are_one_with_the_same_batches(both, name):
    expected = two.reached("sgd" if name == "short" else name)
    close(both[0][name], expected)
    close(both[1][name], both[0][name])


def test_short_numbers_go_with_several_processes(both):
    alone = two.reached("bf16")
    assert both[0]["bf16"]["rows"][-1] == pytest.approx(alone["rows"][-1], rel=0.05)
    close(both[1]["bf16"], both[0]["bf16"])


def test_a_loss_that_is_no_number_ends_both_and_names_the_examples(both):
    first, second = (each["stop"] for each in both[:2])
    assert first["ended"] == second["ended"] == two.reached("stop")["ended"] == "diverged"
    assert first["reason"] == second["reason"]
    assert str(two.ODD) in first["reason"].partition("examples")[2]


def test_a_signal_to_one_process_stops_both_at_one_step(both):
    for name in ("interrupted", "drawn interrupted"):
        first, second = (each[name] for each in both[:2])
        assert first == second
        assert first["ended"] == "interrupted"
        assert first["number"] == signal.SIGTERM


def test_a_run_of_two_goes_on_as_if_unbroken(both):
    for found in both[:2]:
        for name, value in found["drawn"]["weights"].items():
            assert torch.equal(found["drawn resumed"]["weights"][name], value), name
        assert found["drawn resumed"]["rows"] == found["drawn"]["rows"]
        assert torch.equal(*(each["drawn"]["weights"]["6.weight"] for each in both[:2]))


def test_a_run_of_two_goes_on_in_one(both, folder):
    assert both[0]["interrupted"]["steps"] < 3 * two.STEPS
    model, log = two.network(9), RunLog()
    checkpoints = Checkpoints(folder / "plain", max_cost=0.0)
    result = train(model, two.Task(), two.PLAIN, log=log, checkpoints=checkpoints)
    close(two.answer(model, result, log), two.reached("sgd"))


def test_an_error_in_one_process_ends_the_other(both, folder):
    assert both[2] != 0
    assert "one process fails" in both[3]
    assert running(folder) == []


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_are_one_process_with_the_same_batches(tmp_path):
    output, _ = launched("equal", tmp_path, on_cpu="false").communicate(timeout=PATIENCE_S)
    paths = [tmp_path / f"{number}.pt" for number in range(2)]
    assert all(path.is_file() for path in paths), output
    first, second = (torch.load(path, map_location="cpu", weights_only=False) for path in paths)
    for name, value in two.reached("sgd")["weights"].items():
        torch.testing.assert_close(first["sgd"]["weights"][name], value, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(second["sgd"]["weights"][name], first["sgd"]["weights"][name])


def test_a_signal_to_torchrun_leaves_a_checkpoint(tmp_path):
    process = launched("signalled", tmp_path)
    waited = time.monotonic() + PATIENCE_S
    while not all((tmp_path / f"begun-{number}").exists() for number in range(2)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < waited
        time.sleep(0.1)
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE_S)
    codes = [(tmp_path / f"code-{number}").read_text() for number in range(2)]
    assert codes == ["143", "143"], output
    assert running(tmp_path) == []
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    assert newest is not None
    assert newest.values["result"]["steps"] >= 3


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize(("examples", "at_least"), [(11, 1), (3, 2), (1, 1), (1, 2), (8, 2)])
def test_each_example_is_the_part_of_one_process(count, examples, at_least):
    parts = [Processes(number, count).rows(examples, at_least) for number in range(count)]
    taken = [row for first, end in parts for row in range(first, end)]
    assert taken == list(range(examples))
    sizes = [end - first for first, end in parts if end > first]
    assert len(sizes) == 1 or min(sizes) >= at_least
    assert max(sizes) - min(sizes) <= 1
