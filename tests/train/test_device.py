"""Networks are trained where `training_device` says, and come back as they were."""

import pytest
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.data import Preprocess, open_images
from convatlas.errors import UsageError
from convatlas.pipeline.trials import TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.device import (
    on_training_device,
    training_device,
    usable_precision,
    using_device,
)
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify

RECIPE = Recipe(epochs=8, batch_size=8, lr=0.02)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )


def task(**options):
    labels = torch.arange(48) % 2
    images = torch.randint(0, 60, (48, 1, 6, 6), generator=torch.Generator().manual_seed(1))
    for image, label in zip(images, labels, strict=True):
        image[..., 3 * label : 3 * label + 3] += 150
    data = TensorDataset(images.to(torch.uint8), labels)
    options = {"augment": lambda x: x, "normalise": lambda x: x.float() / 255 - 0.5} | options
    return Classify(data, data, num_classes=2, **options)


def linear():
    options = {"in_channels": 1, "num_classes": 10, "size": 21}
    return count_candidate(Candidate("linear_classifier", options, {"size": 21}), Budget())


def test_networks_are_moved_to_the_training_device():
    with on_training_device(network()) as accelerator:
        assert accelerator.device == training_device()


def test_what_prepares_a_network_leaves_nothing_on_it():
    model = network()
    before = set(vars(model))
    with on_training_device(model, "bf16") as accelerator:
        accelerator.prepare(model)
        assert set(vars(model)) > before
    assert set(vars(model)) == before


def test_a_forward_pass_of_the_networks_own_stays():
    model = network()
    model.forward = own = lambda x: x
    with on_training_device(model, "bf16") as accelerator:
        accelerator.prepare(model)
    assert model.forward is own


def test_precision_may_change_from_run_to_run():
    model = network()
    for precision in ("no", "bf16", "no"):
        result = train(model, task(), RECIPE.with_options(precision=precision, epochs=1))
        assert result.ended == "epochs"


def test_after_an_error_a_network_can_be_trained_again():
    def fails(batch):
        raise RuntimeError("out of luck")

    model = network()
    with pytest.raises(RuntimeError, match="out of luck"):
        train(model, task(augment=fails), RECIPE)
    assert train(model, task(), RECIPE).figures["val_accuracy"] == 1.0


def test_a_step_for_which_memory_is_short_is_timed_with_fewer_images(monkeypatch):
    tried = []

    def step(model, x):
        tried.append(len(x))
        if len(x) > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("convatlas.pipeline.measure._step", step)
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=1), StopRequest(), Silent())
    assert runner.speeds.epoch_seconds(linear()) >= 0
    assert sorted(set(tried)) == [4, 8, 16]


@pytest.mark.parametrize(
    ("setting", "device"),
    [
        ({}, "meta"),
        ({"ACCELERATE_USE_CPU": "1"}, "cpu"),
        ({"ACCELERATE_TORCH_DEVICE": "cpu"}, "cpu"),
    ],
)
def test_accelerates_own_settings_choose_the_device(setting, device, monkeypatch):
    monkeypatch.setattr(PartialState, "default_device", torch.device("meta"))  # as if it were there
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    try:
        AcceleratorState._reset_state(reset_partial_state=True)
        assert training_device() == torch.device(device)
        with on_training_device(nn.Identity()) as accelerator:
            assert accelerator.device == training_device()
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_a_device_can_be_named_for_a_while(monkeypatch):
    monkeypatch.setattr(PartialState, "default_device", torch.device("meta"))  # as if it were there
    try:
        AcceleratorState._reset_state(reset_partial_state=True)
        with using_device("auto"):
            assert training_device() == torch.device("meta")
        with using_device("cpu"):
            assert training_device() == torch.device("cpu")
            assert train(network(), task(), RECIPE.with_options(epochs=1)).ended == "epochs"
        assert training_device() == torch.device("meta")
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    says = r"must be auto or one of cpu, (mps, )?cuda, cuda:0, cuda:1, got 'cuda:2'"
    with pytest.raises(UsageError, match=says), using_device("cuda:2"):
        pass
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UsageError, match="several processes"), using_device("cuda:1"):
        pass


@pytest.mark.parametrize(
    ("device", "bf16", "precision"),
    [("cuda", True, "bf16"), ("cuda", False, "fp16"), ("cpu", True, "no"), ("mps", True, "no")],
)
def test_auto_takes_short_numbers_where_a_gpu_has_units_for_them(
    device, bf16, precision, monkeypatch
):
    monkeypatch.setattr("convatlas.train.device.training_device", lambda: torch.device(device))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert usable_precision("auto") == precision
    assert usable_precision("bf16") == "bf16"


class Recorded(torch.overrides.TorchFunctionMode):
    """Refuses an operation that mixes devices, as an accelerator would."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = [a.device.type for a in args if isinstance(a, torch.Tensor) and a.dim()]
        moves = getattr(func, "__name__", "") in ("to", "_to_copy")
        assert moves or len(set(given)) <= 1, f"{func}: {given}"
        return out


def test_the_loss_of_a_batch_is_computed_where_the_network_is():
    preprocess = Preprocess(3, 8, [0.5] * 3, [0.2] * 3)
    task = Classify([], [], num_classes=4, augment=lambda x: x, normalise=preprocess.normalise)
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 4)
        )
        images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        labels = torch.zeros(2, dtype=torch.int64)
    with Recorded():
        loss = task.loss(model.train(), (images, labels))
    loss.backward()
    assert loss.device.type == "meta"
    assert {p.grad.device.type for p in model.parameters()} == {"meta"}
    assert preprocess.mean.device.type == "cpu"


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_gpu_trains_a_network_and_gives_it_back(precision):
    model, recipe = network(), RECIPE.with_options(precision=precision)
    assert training_device().type == "cuda"
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats()
        assert train(model, task(), recipe).figures["val_accuracy"] == 1.0
        assert torch.cuda.max_memory_allocated() > 0
        assert {t.device.type for t in model.state_dict().values()} == {"cpu"}


@pytest.mark.gpu
@on_a_gpu
def test_steps_are_timed_on_the_gpu():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=1), StopRequest(), Silent())
    torch.cuda.reset_peak_memory_stats()
    seconds = runner.speeds.epoch_seconds(linear())
    assert torch.cuda.max_memory_allocated() > 0
    assert runner.speeds.most_macs(seconds) > linear().cost.macs
