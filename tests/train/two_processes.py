"""What each of two processes runs, as torchrun starts them: `two_processes.py WHAT FOLDER`."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from convatlas.data.images.augment import augment, augmentation
from convatlas.progress import Silent
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify

EXAMPLES, BATCH = 34, 11  # batches of 11, 11, 11 and 1: no half is equal, and one process has none
STEPS = 4  # of an epoch
ODD = 20  # the example that is no number
PLAIN = Recipe(
    epochs=3, batch_size=BATCH, lr=0.02, optimizer="sgd", ema_decay=0.9, clip_norm=1.0, seed=3
)
RECIPES = {
    "sgd": PLAIN,
    "adamw": PLAIN.with_options(optimizer="adamw", lr=1e-3),
    "short": PLAIN,
    "skip": PLAIN.with_options(on_nan="skip"),
    "stop": PLAIN.with_options(on_nan="stop"),
    "bf16": PLAIN.with_options(precision="bf16", epochs=1),
}
DRAWN = PLAIN.with_options(optimizer="adamw", lr=1e-3)


def network(seed=0, norm=False):
    """Without batch norm by default: its statistics are those of each process."""
    torch.manual_seed(seed)
    first = [nn.Conv2d(3, 6, 3, stride=2), *([nn.BatchNorm2d(6), nn.Dropout(0.2)] if norm else [])]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    return nn.Sequential(*first, nn.ReLU(), *last)


def pictures(count=EXAMPLES):
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 12, 12), generator=random).to(torch.uint8)
    return TensorDataset(images, torch.arange(count) % 3)


class Task(Classify):
    """Classification with what may go wrong in one process: memory, a signal, an error."""

    def __init__(self, *, drawn=False, short=False, odd=False, at=None, happens=None):
        crops = partial(augment, transform=augmentation("tiny", 3, 12))
        data = pictures()
        self.odd = data.tensors[0][ODD] if odd else None
        super().__init__(
            data,
            pictures(14),
            num_classes=3,
            augment=crops if drawn else lambda batch: batch,
            normalise=self.numbers,
        )
        self.short, self.at, self.happens, self.steps = short, at, happens, 0

    def numbers(self, batch):
        found = batch.float() / 255 - 0.5
        if self.odd is not None:
            found[(batch == self.odd).flatten(1).all(1)] = torch.nan
        return found

    def loaders(self, batch_size, seed):
        order = torch.Generator().manual_seed(seed)
        batches = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return batches, DataLoader(self._validate, 4)

    def loss(self, model, batch):
        if model.training:
            if self.short and len(batch[0]) > 3:
                raise MemoryError
            self.steps += 1
            if self.steps == self.at:
                self.happens()
        return super().loss(model, batch)


def reached(name, number=0):
    """Train by a recipe; return weights, result and log."""
    model, log = network(), RunLog()
    task = Task(short=name == "short" and number == 1, odd=name in ("skip", "stop"))
    result = train(model, task, RECIPES[name], log=log)
    return answer(model, result, log)


def answer(model, result, log):
    rows = [{key: each for key, each in row.items() if key != "seconds"} for row in log.rows]
    told = {key: getattr(result, key) for key in ("figures", "kept_epoch", "ended", "reason")}
    return {"weights": model.state_dict(), "rows": rows, **told}


def every_step(folder):
    return Checkpoints(folder, every_s=0.0, max_cost=1e9)


def interrupted(number, folder, **options):
    """Train until the second process, and it alone, gets a signal within the second epoch."""
    stop = StopRequest()

    def signalled():
        stop.number = signal.SIGTERM

    task = Task(at=STEPS + 2 if number == 1 else None, happens=signalled, **options)
    recipe = DRAWN if options else PLAIN
    model = network(norm=bool(options))
    result = train(model, task, recipe, stop=stop, checkpoints=every_step(folder))
    return {"ended": result.ended, "steps": result.steps, "number": stop.number}


def equal(number, folder):
    """Everything that is compared; then one process raises an error."""
    found = {name: reached(name, number) for name in RECIPES}
    found["interrupted"] = interrupted(number, folder / "plain")
    found["drawn interrupted"] = interrupted(number, folder / "drawn", drawn=True)
    for name, place in (("drawn", folder / "none"), ("drawn resumed", folder / "drawn")):
        model, log = network(5 if number else 0, norm=True), RunLog()
        result = train(model, Task(drawn=True), DRAWN, log=log, checkpoints=every_step(place))
        found[name] = answer(model, result, log)
    torch.save(found, folder / f"{number}.pt")

    def fail():
        raise ValueError("one process fails")

    train(network(), Task(at=2 if number else None, happens=fail), PLAIN.with_options(epochs=1e4))


def signalled(number, folder):
    """A long run that torchrun ends by a signal."""

    def begun():
        (folder / f"begun-{number}").touch()

    with StopRequest() as stop:
        task = Task(at=3, happens=begun)
        long = PLAIN.with_options(epochs=1e6, warmup=0.0)
        every = Checkpoints(folder / "checkpoints")
        train(network(), task, long, stop=stop, checkpoints=every, progress=Silent())
    (folder / f"code-{number}").write_text(str(128 + (stop.number or 0)))
    sys.exit(128 + (stop.number or 0))


if __name__ == "__main__":
    began = time.perf_counter()
    torch.set_num_threads(1)
    process, place = int(os.environ["RANK"]), Path(sys.argv[2])
    (place / f"pid-{process}").write_text(str(os.getpid()))
    {"equal": equal, "signalled": signalled}[sys.argv[1]](process, place)
