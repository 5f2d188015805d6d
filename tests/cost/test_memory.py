"""Peak memory by hand, and against what torch's allocator really handed out."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from convatlas.cost import count
from convatlas.cost.report import MEMORY_MARGIN

SHAPE = (1, 4, 8, 8)
MAP = 4 * 4 * 8 * 8  # bytes of one such tensor


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "maps"),
    [
        (lambda x: x, 1),
        (lambda x: x.relu(), 2),
        (lambda x: x.relu_(), 1),
        # The input is the caller's and stays; of a chain only two more are alive at once.
        (lambda x: x.relu().sigmoid().tanh(), 3),
        (lambda x: x.relu().sigmoid_().tanh_(), 2),
        (lambda x: x.view(4, 64).transpose(0, 1)[:8], 1),
        (lambda x: x.permute(0, 2, 3, 1).contiguous(), 2),
        # A branch held live: input, first branch, and a step of the second, then their sum.
        (lambda x: (lambda a: a + x.sigmoid().tanh())(x.relu()), 4),
        (lambda x: torch.cat([x.relu(), x.sigmoid()], 1), 5),
    ],
)
def test_peak_is_the_most_maps_alive_at_once(function, maps):
    assert count(Function(function), SHAPE).peak_bytes == maps * MAP


def test_in_place_activation_saves_a_map_after_a_convolution():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    weights = 4 * (4 * 4 * 9 + 4)
    apart = count(nn.Sequential(conv, nn.ReLU()), SHAPE)
    within = count(nn.Sequential(conv, nn.ReLU(inplace=True)), SHAPE)
    assert apart.peak_bytes == weights + 3 * MAP
    assert within.peak_bytes == weights + 2 * MAP
    assert apart.weight_bytes == weights


def test_shortcut_keeps_the_input_of_its_block_alive():
    class Block(nn.Module):
        def __init__(self, shortcut):
            super().__init__()
            self.shortcut = shortcut
            self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1, bias=False) for _ in range(3))

        def forward(self, x):
            x = self.convs[0](x)
            y = self.convs[1](x)
            if not self.shortcut:
                del x
            y = self.convs[2](y)
            return x + y if self.shortcut else y

    weights = 3 * 4 * 16
    assert count(Block(False), SHAPE).peak_bytes == weights + 3 * MAP
    assert count(Block(True), SHAPE).peak_bytes == weights + 4 * MAP


def test_half_precision_takes_half():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()).half()
    whole = count(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()), SHAPE)
    half = count(model, (torch.empty(SHAPE, dtype=torch.float16),))
    assert (half.peak_bytes, half.weight_bytes) == (whole.peak_bytes // 2, whole.weight_bytes // 2)


def allocated_peak(model, x):
    """The most bytes that torch's CPU allocator had out at once during a forward pass."""
    model.eval()
    with torch.no_grad():
        model(x)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            answer = model(x)
    now = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    del answer
    return peak


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.split, self.join = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x):
        query, key, value = self.split(x).chunk(3, -1)
        scores = (query @ key.transpose(1, 2)).softmax(-1)
        return x + self.join(scores @ value)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 16)), (32, 64)),
        (nn.Sequential(nn.Linear(64, 256), nn.ReLU(inplace=True), nn.Linear(256, 16)), (32, 64)),
        (nn.Sequential(Attention(), nn.LayerNorm(32), Attention()), (2, 40, 32)),
        (
            nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
            (2, 8, 16, 16),
        ),
    ],
)
# torch 2.11 warns of a profiler option that matters only over several cycles.
@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")
def test_peak_is_what_the_allocator_handed_out(model, shape):
    x = torch.rand(shape)
    cost = count(model, shape)
    counted = cost.peak_bytes - cost.weight_bytes - x.nbytes
    # The allocator's own record; small scratch of a kernel may come on top of the tensors.
    real = allocated_peak(model, x)
    assert counted <= real <= counted * 1.05


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "densenet121", "vgg11"]
)
def test_a_network_takes_no_more_than_its_peak_with_workspace(name):
    from torchvision.models import get_model

    model, x = get_model(name, weights=None), torch.rand(1, 3, 64, 64)
    cost = count(model, tuple(x.shape))
    there = cost.weight_bytes + x.nbytes
    # A kernel may copy its input, weights and output into another layout while it runs.
    real = allocated_peak(model, x)
    assert cost.peak_bytes - there <= real <= (cost.memory_bytes - there) * 1.05
    assert cost.memory_bytes == cost.peak_bytes + cost.workspace_bytes


def test_a_convolution_holds_its_weights_and_its_larger_map_again():
    conv = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    small, large, weights = 4 * 16 * 64, 4 * 32 * 64, 4 * 32 * 16 * 9
    cost = count(conv, (1, 16, 8, 8))
    assert cost.peak_bytes == weights + small + large
    assert cost.workspace_bytes == weights + large
    # Three channels are copied into a block of sixteen.
    stem = count(nn.Conv2d(3, 16, 1, stride=8, bias=False), (1, 3, 64, 64))
    assert stem.workspace_bytes == 4 * 16 * 3 + 4 * 16 * 64 * 64
    assert count(nn.ReLU(), (1, 16, 8, 8)).workspace_bytes == 0


def test_the_stated_margin_is_the_measured_one():
    measured = Path(__file__).parents[2] / "benchmarks" / "results" / "count_memory.csv"
    with measured.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 6
    assert max(float(row["again_of_memory"]) for row in rows) <= 1.005
    assert max(float(row["first_of_memory"]) for row in rows) <= 1 + MEMORY_MARGIN
    assert max(float(row["library_bytes"]) for row in rows) <= 16e6


def test_growth_sees_a_tensor_come_and_go():
    size = 64 * 2**20
    # In a process of its own: this one may hold freed memory that serves the call.
    code = (
        "import torch; from convatlas.cost.memory import measure_growth; "
        f"print(measure_growth(lambda: torch.ones({size // 4})))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    if out.stdout.strip() == "None":
        pytest.skip("this system does not say how much memory a process takes")
    assert 0.95 * size < int(out.stdout) < 1.5 * size
