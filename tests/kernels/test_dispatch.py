"""What a process of its own is needed for: environment variables, a missing numba, the cache."""

import os
import subprocess
import sys
import textwrap

import pytest

CALL = """
    import torch
    from convatlas.kernels import depthwise_conv2d
    x = torch.randn(1, 16, 6, 6).to(memory_format=torch.channels_last)
    y = depthwise_conv2d(x, torch.randn(16, 1, 3, 3, requires_grad=True), dilation=2)
    print("ours" if "Depthwise" in y.grad_fn.name() else "torch")
"""


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def test_the_environment_switches_the_kernels_off():
    assert python(CALL, CONVATLAS_KERNELS="0").stdout.strip() == "torch"


def test_torch_keeps_its_thread_count():
    code = textwrap.dedent(CALL) + "print(torch.get_num_threads())"
    assert python(code, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="2").stdout.split()[-1] == "1"


def test_without_numba_torch_does_the_work_silently():
    done = python("import sys; sys.modules['numba'] = None\n" + textwrap.dedent(CALL))
    assert done.stdout.strip() == "torch"
    assert done.stderr == ""


@pytest.mark.slow
def test_the_first_use_says_what_it_waits_for_and_the_second_finds_it(tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = python(CALL, **place), python(CALL, **place)
    assert first.stdout == second.stdout == "ours\n"
    assert "compiling depthwise_plain.forward.plain" in first.stderr
    assert str(tmp_path) in first.stderr
    assert second.stderr == ""


@pytest.mark.slow
def test_code_from_disk_does_not_meet_that_of_another_case(tmp_path):
    code = """
        import torch
        from convatlas.kernels import depthwise_conv2d
        for side in {}:
            x = torch.randn(1, 16, 9, 9).to(memory_format=torch.channels_last).requires_grad_()
            weight = torch.randn(16, 1, side, side)
            y = depthwise_conv2d(x, weight)
            torch.testing.assert_close(y, torch.conv2d(x, weight, groups=16))
    """
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    python(code.format([3]), **place)
    python(code.format([5, 3]), **place)  # 5 was compiled here, under the names that 3 had there


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_does_not_stop_it(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert python(CALL, NUMBA_CACHE_DIR=str(blocked)).stdout == "ours\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_goes_on_with_torch():
    code = textwrap.dedent(CALL) + textwrap.dedent("""
        import os
        if os.fork() == 0:
            torch.set_num_threads(1)
            y = depthwise_conv2d(x, torch.randn(16, 1, 3, 3, requires_grad=True), dilation=2)
            os._exit(0 if "Depthwise" not in y.grad_fn.name() else 1)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """)
    assert python(code).stdout.split() == ["ours", "0"]
