import copy
import logging
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.kernels import accelerate_cpu, use_fast_kernels
from convatlas.kernels.layers import choose as gain
from convatlas.kernels.layers.choose import CHANNELS_LAST, KERNELS, TORCH, fastest, running
from convatlas.kernels.runtime import compile_limit


def network():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Dropout(0.5),
        nn.BatchNorm2d(16),
    )


@pytest.mark.parametrize(
    ("torch_s", "channels_last_s", "kernels_s", "best"),
    [
        (3.0, 2.0, 1.0, KERNELS),
        (2.0, 3.0, 1.0, KERNELS),
        (3.0, 2.0, 1.95, CHANNELS_LAST),  # ahead by less than timing wavers
        (2.0, 3.0, 4.0, TORCH),
    ],
)
def test_the_kernels_are_taken_only_where_a_step_gains(torch_s, channels_last_s, kernels_s, best):
    seconds = {TORCH: torch_s, CHANNELS_LAST: channels_last_s, KERNELS: kernels_s}
    assert fastest(seconds) == best


@pytest.mark.parametrize("best", [TORCH, CHANNELS_LAST, KERNELS])
def test_what_a_step_is_fastest_with_is_what_the_network_gets(best, monkeypatch, caplog):
    seconds = {way: 1.0 if way == best else 2.0 for way in (TORCH, CHANNELS_LAST, KERNELS)}
    monkeypatch.setattr(gain, "step_seconds", lambda model, inputs: seconds)
    plain, x = network(), torch.randn(2, 3, 9, 9)
    fast = copy.deepcopy(plain)
    with caplog.at_level(logging.INFO, logger="convatlas"):
        assert use_fast_kernels(fast, x, keep_memory=False) is fast
    assert (type(fast[1]) is not nn.BatchNorm2d) == (best == KERNELS)
    assert fast[0].weight.is_contiguous(memory_format=torch.channels_last) == (
        best == CHANNELS_LAST
    )
    assert best in caplog.text
    torch.testing.assert_close(fast.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_weights_statistics_gradients_and_random_state(training):
    model = network().train(training)
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    use_fast_kernels(model, torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1)))
    assert model.training == training
    torch.testing.assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_example_is_asked_for_where_the_network_has_none():
    with pytest.raises(UsageError, match="give a batch"):
        use_fast_kernels(network())


def test_the_old_name_still_works_and_says_the_new_one():
    model = network().eval()
    with pytest.warns(DeprecationWarning, match="use_fast_kernels"):
        assert accelerate_cpu(model, torch.randn(1, 3, 9, 9), keep_memory=False) is model


def test_without_time_to_compile_the_ways_of_torch_remain(tmp_path):
    code = """
        import torch
        from torch import nn
        from convatlas.kernels.layers.choose import CHANNELS_LAST, TORCH, fastest, step_seconds

        layers = nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4)
        seconds = step_seconds(nn.Sequential(*layers), (torch.rand(2, 4, 9, 9),), limit_s=0.0)
        assert set(seconds) == {TORCH, CHANNELS_LAST}
        assert fastest(seconds) in seconds
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, check=True, env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)})
    assert not list(tmp_path.rglob("*.nbi"))


def test_with_a_limit_a_network_without_depthwise_layers_does_not_try_the_kernels(monkeypatch):
    tried = []
    changed = gain._changed
    monkeypatch.setattr(gain, "_changed", lambda m, way: tried.append(way) or changed(m, way))
    plain = nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4))
    gain.step_seconds(plain, (torch.rand(2, 4, 9, 9),), limit_s=60.0)
    assert tried == [TORCH, CHANNELS_LAST]


def test_no_kernel_is_begun_that_would_not_be_compiled_in_time(monkeypatch):
    monkeypatch.setattr(compile_limit, "_longest", 1.0)
    with compile_limit.compiling_within(5.0):
        compile_limit.check_time("short")
    compile_limit.note_compiled(30.0)  # the machine is busy
    with compile_limit.compiling_within(5.0), pytest.raises(compile_limit.NotCompiled):
        compile_limit.check_time("long")
    compile_limit.check_time("long")  # without a limit there is time for all


@pytest.mark.parametrize("way", [TORCH, CHANNELS_LAST, KERNELS])
def test_a_network_runs_one_way_and_is_torchs_again(way):
    model = network()
    kinds, before = [type(m) for m in model.modules()], copy.deepcopy(model.state_dict())
    with running(model, way):
        assert (type(model[0]) is not nn.Conv2d) == (way == KERNELS)
        assert model[0].weight.is_contiguous() == (way != CHANNELS_LAST)
    assert [type(m) for m in model.modules()] == kinds
    assert all(p.is_contiguous() for p in model.parameters())
    torch.testing.assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)
