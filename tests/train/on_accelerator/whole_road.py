"""Run by `test_whole_road.py` in a process of its own, whose accelerator is the emulated one."""

from collections import Counter
from functools import partial

import emulated_device
import pytest
import torch
from accelerate import PartialState
from emulated_device import DEVICE
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import convatlas as ca
from convatlas.data import Preprocess, augment, augmentation, open_images
from convatlas.deploy.classifier import ImageClassifier
from convatlas.models.registry import register
from convatlas.pipeline.config import DONE
from convatlas.tasks.images import sample_images
from convatlas.train.device import training_device
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify

SIDE = 32
NAMES = ("above", "below")


class Small(nn.Module):
    """Two convolutions."""

    def __init__(self, *, norm: bool, in_channels: int = 3, num_classes: int = 2):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 8, 3, 2, padding=1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.second = nn.Conv2d(8, 8, 3, 2, padding=1)
        self.classifier = nn.Linear(8 * 4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(torch.relu(self.norm(self.first(x))))
        return self.classifier(nn.functional.adaptive_avg_pool2d(torch.relu(x), 2).flatten(1))

    @staticmethod
    def example(batch: int = 1, size: int = SIDE) -> tuple[Tensor]:
        return (torch.rand(batch, 3, size, size),)


class Freezing(Small):
    """The first convolution stays as it is in the second half of a run."""

    def training_progress(self, share: float) -> None:
        assert self.first.weight.device == DEVICE
        self.first.requires_grad_(share < 0.5)


register("small_plain", Small, "classify", norm=False)
register("small_norm", Small, "classify", norm=True)
register("small_freezing", Freezing, "classify", norm=True)

ROADS = {  # recipe, augmentation, and operations that must have been done on the accelerator
    "small_plain": (Recipe(ema_decay=0.0), "digits", {"grid_sampler_2d"}),
    "small_norm": (Recipe(), "photo", {"native_batch_norm", "lerp"}),
    "small_freezing": (Recipe(), "tiny", {"native_batch_norm", "flip"}),
}
EVERY_ROAD = {"convolution", "convolution_backward", "nll_loss_forward", "nll_loss_backward"}


def stripes(count: int) -> TensorDataset:
    """Dark noise, brighter in the upper half of a picture or in the lower one, by turns."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 90, (count, 3, SIDE, SIDE), generator=random, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        image[:, 16 * label : 16 * label + 16] += 150
    return TensorDataset(images, labels)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        (folder / name).mkdir()
    for index, (image, label) in enumerate(stripes(80)):
        pixels = image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / NAMES[label] / f"{index}.png")
    return folder


@pytest.mark.parametrize("model", ROADS)
def test_from_pictures_to_answers(model, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("convatlas.pipeline.training_recipe.MIN_RECIPE_STEPS", 1)
    monkeypatch.setattr("convatlas.pipeline.measure.ACCELERATOR_MATRIX_SIDE", 256)
    recipe, level, expected = ROADS[model]
    recipe = recipe.with_options(epochs=2)
    before, waits = Counter(emulated_device.done), emulated_device.Module.waits
    assert training_device() == DEVICE

    out = tmp_path / "run"
    run = ca.fit(
        pictures, model=model, recipe=recipe, time_limit_s=600, out=out, augmentation=level
    )
    done = {name.removeprefix("aten::") for name in emulated_device.done - before}
    assert EVERY_ROAD | expected <= done
    assert emulated_device.Module.waits > waits  # for the steps that were timed
    assert set(run.config.steps.values()) == {DONE}, run.config.steps
    assert run.config.proof.agreement == 1.0

    run = ca.open_run(run.path)
    assert {t.device.type for t in run.model().state_dict().values()} == {"cpu"}
    files = sorted(pictures.glob("*/*.png"))[:2]
    assert [answer.error for answer in run.predict(files)] == [None, None]
    assert run.evaluate().accuracy == run.config.value


def test_the_accelerator_trains_the_network_that_the_cpu_trains(monkeypatch):
    networks = {}
    for device in ("cpu", "emulated:0"):
        monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", device)
        PartialState._reset_state()
        assert training_device() == torch.device(device)
        torch.manual_seed(0)
        networks[device] = Small(norm=True)
        task = Classify(
            stripes(48),
            stripes(16),
            num_classes=2,
            augment=partial(augment, transform=augmentation("tiny", 3, SIDE)),
            normalise=Preprocess(3, SIDE, [0.4] * 3, [0.2] * 3).normalise,
        )
        result = train(networks[device], task, Recipe(epochs=8, batch_size=8, lr=0.02))
        assert result.figures["val_accuracy"] == 1.0
    on_cpu, on_accelerator = (network.state_dict() for network in networks.values())
    torch.testing.assert_close(on_accelerator, on_cpu)


def test_a_classifier_answers_where_it_lies(pictures):
    images = sample_images(open_images(pictures).splits["test"], 20)
    network = ca.create_model("small_norm").eval()
    classifier = ImageClassifier(Preprocess(3, SIDE, [0.4] * 3, [0.2] * 3), network)
    expected = classifier.predict(images)
    before = emulated_device.done["aten::convolution"]
    answers = classifier.to(DEVICE).predict(images)
    assert emulated_device.done["aten::convolution"] == before + 2
    assert answers.device.type == "cpu"
    torch.testing.assert_close(answers, expected)
