"""Where kernels run: on the threads of torch, or on threads of their own without these."""

import pytest
import torch
import torch.nn.functional as F

from convatlas.kernels import depthwise_conv2d
from convatlas.kernels.runtime import threads as workers


def check(channels=32):
    x = torch.randn(3, channels, 9, 7).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(channels, 1, 3, 3, requires_grad=True)
    found = depthwise_conv2d(x, weight, padding=1)
    expected = F.conv2d(x, weight, padding=1, groups=channels)
    torch.testing.assert_close(found, expected)
    dy = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(y, (x, weight), dy) for y in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_without_torchs_team_own_threads_do_the_work(two_threads, monkeypatch):
    ran = []
    pool = workers._thread_pool()
    submit = pool.submit
    monkeypatch.setattr(workers, "_openmp_team", lambda: None)
    monkeypatch.setattr(pool, "submit", lambda *call: ran.append(call) or submit(*call))
    check()
    assert len(ran) == 2  # one more thread for the way there and one for the way back


def test_one_thread_needs_no_team(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(workers, "_openmp_team", lambda: pytest.fail("no team is needed"))
    try:
        check()
    finally:
        torch.set_num_threads(before)


def test_fewer_threads_than_parts_do_all_the_work(two_threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    with monkeypatch.context() as patch:
        alone = lambda address, call, *_: workers._function(address)(call)  # noqa: E731  # a stand-in
        patch.setattr(workers, "_openmp_team", lambda: alone)
        check()
