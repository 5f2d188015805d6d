"""Samples that cannot be read, workers that die and workers that hang, in whole training runs."""

import multiprocessing
import os
import re
import signal
import time
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from convatlas.errors import ConvatlasError, DataError
from convatlas.train import sample_reading
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify
from heard import Heard

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")  # Python 3.12
BAD = 17
RECIPE = Recipe(epochs=1, batch_size=4)


class Pictures(Dataset):
    """Small images with names; one of them does what it is asked to."""

    def __init__(self, at_bad=None):
        self.files = [f"class/{number}.png" for number in range(24)]
        self.at_bad = at_bad

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        if index == BAD and self.at_bad is not None:
            self.at_bad()
        return torch.full((1, 4, 4), index).to(torch.uint8), index % 2


class Together(Pictures):
    def __getitems__(self, indices):
        return [self[index] for index in indices]


class Task(Classify):
    def __init__(self, data, validated=None, workers=2, timeout=0):
        super().__init__(
            data,
            validated or Pictures(),
            num_classes=2,
            augment=lambda batch: batch,
            normalise=lambda batch: batch.float(),
        )
        self.options = {"num_workers": workers, "timeout": timeout}

    def loaders(self, batch_size, seed):
        order = torch.Generator().manual_seed(seed)
        more = DataLoader(self._train, batch_size, shuffle=True, generator=order, **self.options)
        return more, DataLoader(self._validate, batch_size, **self.options)


def run(task, **options):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    return train(model, task, RECIPE, **options)


def fail():
    raise OSError("bad block")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def no_workers_left():
    return not [each for each in multiprocessing.active_children() if each.is_alive()]


@pytest.mark.parametrize("kind", [Pictures, Together])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("validating", [False, True])
def test_a_sample_that_raises_is_named(kind, workers, validating):
    good, bad = kind(), kind(fail)
    task = Task(*((good, bad) if validating else (bad, good)), workers=workers)
    with pytest.raises(DataError) as caught:
        run(task)
    assert str(caught.value) == "class/17.png: OSError: bad block"
    assert no_workers_left()


@pytest.mark.parametrize("validating", [False, True])
def test_a_killed_worker_is_named_with_its_sample(validating):
    good, bad = Pictures(), Pictures(kill)
    with pytest.raises(ConvatlasError) as caught:
        run(Task(*((good, bad) if validating else (bad, good))))
    assert re.match(
        r"a loader worker, process \d+, was killed or crashed while it read class/17\.png; ",
        str(caught.value),
    )
    assert no_workers_left()


def test_a_killed_worker_that_reads_a_batch_names_the_batch():
    with pytest.raises(ConvatlasError, match=r"while it read class/\d+.png, .*class/17\.png"):
        run(Task(Together(kill)))


def test_a_worker_that_hangs_ends_the_run_at_the_limit(monkeypatch):
    monkeypatch.setattr(sample_reading, "READ_LIMIT_S", 2)
    monkeypatch.setattr(sample_reading, "SAY_AFTER_S", 0.2)
    monkeypatch.setattr(sample_reading, "LOOK_EVERY_S", 0.2)
    said = Heard()
    with pytest.raises(DataError) as caught:
        run(Task(Pictures(partial(time.sleep, 1000))), progress=said)
    assert str(caught.value).startswith("class/17.png: no batch came within 2 s")
    assert any("have been reading class/17.png for over" in text for text in said.lines)
    assert no_workers_left()
