"""A run that was interrupted ends as one that was not, to the last bit."""

import json
import signal
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from convatlas.data.images.augment import augment, augmentation
from convatlas.data.images.mixing import Mixing
from convatlas.errors import DataError
from convatlas.progress import Silent
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.log import RunLog, read_log
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify

STEPS = 5  # of an epoch: four batches of 8, and one of 6
RECIPE = Recipe(epochs=3, batch_size=8, lr=0.02, warmup=0.2, schedule="step", milestones=(0.5,))
RECIPES = {
    "adamw": RECIPE,
    "no average": RECIPE.with_options(ema_decay=0.0, optimizer="sgd", clip_norm=0.0),
    "rmsprop": RECIPE.with_options(optimizer="rmsprop", lr=1e-3, schedule="plateau", lr_every=0.3),
}


class Killed(BaseException):
    """Ends a run as a killed process ends: nothing of it is tidied up."""


class MaybeSkipped(nn.Module):
    """Stochastic depth."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, x):
        return x + self.inside(x) if not self.training or torch.rand(()) < 0.7 else x


def network(seed=0, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        MaybeSkipped(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))),
        nn.Dropout2d(0.2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6, classes),
    )


def pictures(count=38):
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 12, 12), generator=random).to(torch.uint8)
    return TensorDataset(images, torch.arange(count) % 3)


class Interrupted(Classify):
    """Random crops, mixup, and an end at a step or a validation."""

    def __init__(self, ends_at=None, data=None, stop=None, validations=None, workers=0):
        crops, mixed = augmentation("tiny", 3, 12), Mixing(3, mixup=0.3, cutmix=0.3)
        super().__init__(
            data or pictures(),
            pictures(12),
            num_classes=3,
            augment=partial(augment, transform=crops),
            normalise=lambda batch: batch.float() / 255 - 0.5,
            mix=mixed,
        )
        self.ends_at, self.stop, self.validations = ends_at, stop, validations
        self.taken, self.losses, self.workers = 0, [], workers

    def loaders(self, batch_size, seed):
        train, validation = super().loaders(batch_size, seed)
        if not self.workers:
            return train, validation
        order = torch.Generator().manual_seed(seed)
        more = DataLoader(
            self._train, batch_size, shuffle=True, generator=order, num_workers=self.workers
        )
        return more, validation

    def loss(self, model, batch):
        if model.training:
            if self.taken == self.ends_at:
                if self.stop is None:
                    raise Killed
                self.stop.number = signal.SIGTERM
            self.taken += 1
        loss = super().loss(model, batch)
        if model.training:
            self.losses.append(float(loss.detach()))
        return loss

    def validate(self, model, loader, gather):
        if self.validations is not None:
            self.validations -= 1
            if self.validations < 0:
                self.stop.number = signal.SIGTERM
        return super().validate(model, loader, gather)


def every_step(folder):
    """A checkpoint after each step, whatever it costs."""
    return Checkpoints(folder, every_s=0.0, max_cost=1e9)


def unbroken(recipe, **options):
    model, log, task = network(), RunLog(), Interrupted(**options)
    return model, train(model, task, recipe, log=log), log.rows, task.losses


def same(first, second):
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def timeless(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole():
    return {name: unbroken(recipe) for name, recipe in RECIPES.items()}


@pytest.mark.parametrize(
    ("name", "ends_at"),
    [
        ("adamw", 0),
        ("adamw", 1),
        ("adamw", 3),
        ("adamw", STEPS),
        ("adamw", 3 * STEPS - 1),
        ("no average", STEPS),
        ("no average", STEPS + 2),
        ("rmsprop", 2 * STEPS + 1),
    ],
)
def test_a_killed_run_goes_on_to_the_same_end(whole, name, ends_at, tmp_path):
    recipe, folder = RECIPES[name], tmp_path / "checkpoints"
    with pytest.raises(Killed):
        train(
            network(),
            Interrupted(ends_at),
            recipe,
            log=RunLog(tmp_path),
            checkpoints=every_step(folder),
        )
    torch.rand(3)
    model, log = network(7 if ends_at else 0), RunLog(tmp_path)
    task = Interrupted()
    result = train(model, task, recipe, log=log, checkpoints=every_step(folder))
    expected, reached, rows, losses = whole[name]
    same(model, expected)
    assert (result.figures, result.kept_epoch) == (reached.figures, reached.kept_epoch)
    assert (result.steps, result.ended) == (3 * STEPS, "epochs")
    assert task.losses == losses[ends_at:]
    assert timeless(log.rows) == timeless(rows)
    assert timeless(read_log(tmp_path)) == timeless(rows)


@pytest.mark.parametrize("ends_at", [2, 2 * STEPS - 1])
def test_a_stop_leaves_the_very_step_behind(whole, ends_at, tmp_path):
    stop = StopRequest()
    checkpoints = Checkpoints(
        tmp_path / "checkpoints"
    )  # at its usual times: none in so short a run
    task = Interrupted(ends_at, stop=stop)
    result = train(network(), task, RECIPE, stop=stop, checkpoints=checkpoints)
    assert (result.ended, result.resumable) == ("interrupted", True)
    assert result.steps == ends_at + 1
    model = network(7)
    after = train(model, Interrupted(), RECIPE, checkpoints=checkpoints)
    same(model, whole["adamw"][0])
    assert after.figures == whole["adamw"][1].figures
    assert after.seconds_before == pytest.approx(result.seconds)


class LeftInAValidation(Interrupted):
    """Leaves as a stop does that a slow validation keeps waiting: after the running statistics."""

    def validate(self, model, loader, gather):
        if self.taken == 2 * STEPS:
            assert self.stop.late()
            raise Killed
        return super().validate(model, loader, gather)


class LeftInAStep(Interrupted):
    """Leaves as a stop does that a slow step keeps waiting: after the forward pass."""

    def loss(self, model, batch):
        taken, loss = self.taken, super().loss(model, batch)
        if model.training and taken == 7:
            assert self.stop.late()
            raise Killed
        return loss


@pytest.mark.parametrize("name", ["adamw", "no average"])
@pytest.mark.parametrize(("left", "steps"), [(LeftInAStep, 7), (LeftInAValidation, 2 * STEPS)])
def test_a_stop_within_slow_work_keeps_the_last_step(
    whole, name, left, steps, tmp_path, monkeypatch
):
    monkeypatch.setattr("convatlas.train.steps.SLOW_S", 0.0)
    stop, checkpoints = StopRequest(), Checkpoints(tmp_path / "checkpoints", max_cost=0)
    with pytest.raises(Killed):
        train(network(), left(stop=stop), RECIPES[name], stop=stop, checkpoints=checkpoints)
    assert checkpoints.newest().values["result"]["steps"] == steps
    model, log = network(7), RunLog()
    train(model, Interrupted(), RECIPES[name], log=log, checkpoints=checkpoints)
    same(model, whole[name][0])
    assert timeless(log.rows) == timeless(whole[name][2])


@pytest.mark.parametrize(("name", "validations"), [("adamw", 2), ("no average", 1)])
def test_a_stop_within_a_validation_repeats_it(whole, name, validations, tmp_path):
    stop, checkpoints = StopRequest(), Checkpoints(tmp_path / "checkpoints")
    task = Interrupted(stop=stop, validations=validations)
    result = train(network(), task, RECIPES[name], stop=stop, checkpoints=checkpoints)
    assert (result.ended, result.resumable) == ("interrupted", True)
    assert result.steps == (validations + 1) * STEPS
    model, log = network(7), RunLog()
    train(model, Interrupted(), RECIPES[name], log=log, checkpoints=checkpoints)
    same(model, whole[name][0])
    assert timeless(log.rows) == timeless(whole[name][2])


def test_frozen_parts_that_learn_later_go_on_learning(tmp_path):
    from convatlas.train.frozen_parts import FrozenParts

    def held():
        return FrozenParts(frozenset({"0", "1"}), frozenset({"0.weight", "0.bias", "1.weight"}))

    recipe = RECIPE.with_options(freeze_until=0.4)
    expected = network()
    train(expected, Interrupted(), recipe, frozen=held())
    for ends_at in (3, 9):
        checkpoints = every_step(tmp_path / str(ends_at))
        with pytest.raises(Killed):
            train(network(), Interrupted(ends_at), recipe, frozen=held(), checkpoints=checkpoints)
        model = network(7)
        train(model, Interrupted(), recipe, frozen=held(), checkpoints=checkpoints)
        same(model, expected)


class Noisy(Dataset):
    """Draws from the generators of torch, numpy and Python, as many data sets do."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        import random

        image, label = self.data[index]
        noise = torch.rand(()) + float(np.random.rand()) + random.random()  # noqa: NPY002
        return (image.float() * (0.9 + 0.05 * noise)).to(torch.uint8), label


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")  # Python 3.12
def test_losses_do_not_depend_on_the_workers_and_go_on_with_them(tmp_path):
    losses = {}
    for workers in (0, 2):
        *_, losses[workers] = unbroken(RECIPE, data=Noisy(pictures()), workers=workers)
    assert losses[0] == losses[2]
    checkpoints = every_step(tmp_path)
    task = Interrupted(7, data=Noisy(pictures()), workers=2)
    with pytest.raises(Killed):
        train(network(), task, RECIPE, checkpoints=checkpoints)
    task = Interrupted(data=Noisy(pictures()))
    train(network(7), task, RECIPE, checkpoints=checkpoints)
    assert task.losses == losses[0][7:]


def test_another_network_recipe_or_number_of_classes_is_refused(tmp_path):
    checkpoints = every_step(tmp_path)
    with pytest.raises(Killed):
        train(network(), Interrupted(2), RECIPE, checkpoints=checkpoints)
    with pytest.raises(DataError, match=r"is of another recipe: lr 0.02 there, 0.1 now"):
        train(network(), Interrupted(), RECIPE.with_options(lr=0.1), checkpoints=checkpoints)
    with pytest.raises(DataError, match=r"of another number of classes: 8.weight .*\(3, 6\) there"):
        train(network(classes=4), Interrupted(), RECIPE, checkpoints=checkpoints)
    with pytest.raises(DataError, match=r"of another network: only the checkpoint has 3.inside"):
        train(nn.Sequential(*[m for m in network() if not isinstance(m, MaybeSkipped)][:2]),
              Interrupted(), RECIPE, checkpoints=checkpoints)  # fmt: skip


class Named(Dataset):
    """Float images with file names; one of them is damaged."""

    def __init__(self, odd=None):
        images, labels = pictures().tensors
        self.images, self.labels = images.float(), labels
        self.files = [f"photos/{number}.png" for number in range(len(labels))]
        if odd is not None:
            self.images[odd, 0, 0, 0] = float("nan")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Plain(Classify):
    def __init__(self, data):
        keep = lambda x: x  # noqa: E731
        super().__init__(data, pictures(12), num_classes=3, augment=keep, normalise=scaled)


def scaled(batch):
    return batch.float() / 255 - 0.5


@pytest.mark.parametrize("whole_set", [True, False])
def test_a_loss_that_is_no_number_stops_at_its_step_and_names_the_file(tmp_path, whole_set):
    data = Named(odd=17) if whole_set else Subset(Named(odd=17), range(5, 37))
    checkpoints = every_step(tmp_path)
    result = train(network(), Plain(data), RECIPE, checkpoints=checkpoints)
    assert result.ended == "diverged"
    assert "the loss is nan" in result.reason
    assert "inputs that are no numbers, of photos/17.png" in result.reason
    assert result.steps < STEPS
    good = checkpoints.newest()
    if result.steps:
        assert good is not None
        assert all(torch.isfinite(t).all() for t in good.part("network").values())


def test_such_steps_can_be_left_out(tmp_path):
    class Heard(Silent):
        said: list[str] = []  # noqa: RUF012

        def say(self, text):
            self.said.append(text)

    recipe, heard = RECIPE.with_options(on_nan="skip"), Heard()
    model = network()
    result = train(model, Plain(Named(odd=17)), recipe, progress=heard)
    assert (result.ended, result.steps) == ("epochs", 3 * STEPS)
    assert len(heard.said) == 3  # once an epoch
    assert all("photos/17.png" in text for text in heard.said)
    assert all(torch.isfinite(t).all() for t in model.state_dict().values())
    broken = Plain(Named())
    broken.loss = lambda model, batch: next(model.parameters()).sum() * float("nan")
    ended = train(network(), broken, recipe.with_options(epochs=9))
    assert (ended.ended, ended.steps) == ("diverged", 20)  # not to the end of all epochs


def test_a_checkpoint_is_json_and_tensors(tmp_path):
    train(network(), Interrupted(), RECIPE, checkpoints=every_step(tmp_path))
    names = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {".json", ".safetensors"}
    values = json.loads((next(tmp_path.glob("*step-000000015")) / "values.json").read_text())
    assert values["result"]["steps"] == 15
    assert len(values["log"]) == 3
