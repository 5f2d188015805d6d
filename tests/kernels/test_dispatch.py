"""What a process of its own is needed for: environment variables, a missing numba, the cache."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap

import pytest

from convatlas.kernels.runtime.compiler import cache_folder

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


def test_without_numba_torch_does_the_work_silently():
    done = python("import sys; sys.modules['numba'] = None\n" + textwrap.dedent(CALL))
    assert done.stdout.strip() == "torch"
    assert done.stderr == ""


@pytest.mark.slow
def test_the_first_use_says_what_it_waits_for_and_code_from_disk_does_not_meet_another_case(
    tmp_path,
):
    code = """
        import torch
        from convatlas.kernels import depthwise_conv2d
        for side in {}:
            x = torch.randn(1, 16, 9, 9).to(memory_format=torch.channels_last).requires_grad_()
            weight = torch.randn(16, 1, side, side)
            y = depthwise_conv2d(x, weight)
            assert "Depthwise" in y.grad_fn.name()
            torch.testing.assert_close(y, torch.conv2d(x, weight, groups=16))
    """
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first = python(code.format([1]), **place)
    assert first.stderr.count("compiling") == 1
    # How many places of a row are computed at once depends on the processor's registers.
    assert re.search(r"compiling depthwise_plain\.forward\.\dof1x1by1x1 ", first.stderr)
    assert str(tmp_path) in first.stderr
    second = python(code.format([2, 1]), **place)  # 2 is compiled under the names that 1 had
    assert second.stderr.count("compiling") == 1
    assert re.search(r"compiling depthwise_plain\.forward\.\dof2x2by1x1 ", second.stderr)
    assert python(code.format([1, 2]), **place).stderr == ""


def test_a_folder_that_cannot_be_written_does_not_stop_it(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = cache_folder.__wrapped__()
    assert folder.parent == tmp_path
    (folder / "code").touch()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_torch_keeps_its_thread_count_and_a_forked_process_goes_on_with_torch():
    code = textwrap.dedent(CALL) + textwrap.dedent("""
        import os
        print(torch.get_num_threads())
        if os.fork() == 0:
            torch.set_num_threads(1)
            y = depthwise_conv2d(x, torch.randn(16, 1, 3, 3, requires_grad=True), dilation=2)
            os._exit(0 if "Depthwise" not in y.grad_fn.name() else 1)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """)
    done = python(code, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="2")
    assert done.stdout.split() == ["ours", "1", "0"]
