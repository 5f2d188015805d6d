"""How fast networks learn: accuracy after each epoch, for many networks on one data set.

    python benchmarks/learning_curves.py cifar10 --seconds 120 [NAME:WIDTH:SIZE ...]

The rate stays as it is after its warm-up and the averaged weights are validated, so each point is
about what a run that ended there would have reached. A network is trained for a number of epochs
that an idle core would take `--seconds` for, however busy the machine is. Rows are appended to
`results/learning_curves.csv`; a network that is there already is not trained again.
"""

import argparse
import copy
import csv
import sys
import time
from importlib import resources

import torch

from convatlas.deadline import Deadline
from convatlas.models.registry import find_entry
from convatlas.pipeline.opening import open_data
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.known_curves import FILE
from convatlas.tasks import find_task
from convatlas.tasks.image_networks import at_sizes
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from machine import RESULTS, describe_machine
from small_sets import prepare

PACKED = ["task", "data", "channels", "model", "width", "size", "macs", "core_seconds", "points"]
MIN_EPOCH = 0.9  # earlier points tell of the warm-up
COLUMNS = [
    "data",
    "train",
    "channels",
    "classes",
    "model",
    "width",
    "size",
    "params",
    "macs",
    "epoch",
]
COLUMNS += ["accuracy", "loss", "core_seconds", "device", "convatlas"]


class Curve(RunLog):
    """Keeps what a run logs."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def write(self, **figures):
        self.rows.append(figures)


def candidate_of(words, data):
    """`NAME:WIDTH:SIZE` as a candidate with the options that the data decide."""
    name, width, size = words.split(":")
    options = {"in_channels": data.channels, "num_classes": len(data.classes)}
    (sweep,) = at_sizes(find_entry(name), options, [int(size)])
    return next(c for c in sweep if not width or c.options.get("width", 1.0) == float(width))


def main():
    """Record the networks that are asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", nargs="?")
    asked.add_argument("networks", nargs="*")
    asked.add_argument("--seconds", type=float, default=120)
    asked.add_argument("--scratch", default="/tmp/convatlas-sets")
    asked.add_argument("--out", default=str(RESULTS / "learning_curves.csv"))
    asked.add_argument("--pack", action="store_true", help="write the package's own file")
    asked.add_argument("--draw", action="store_true", help="draw the curves of a data set")
    args = asked.parse_intermixed_args()
    if args.pack:
        return pack(args.out)
    if args.draw:
        return draw(args.data or "cifar10")
    task = find_task("classify")
    data = open_data(
        task,
        prepare(args.data, args.scratch),
        seed=0,
        max_broken=0.05,
        options={},
        progress=Silent(),
        deadline=Deadline(1e6),
    )
    recipe = Recipe(final_lr_fraction=1.0, warmup=0.02, batch_size=64)
    trial_data = task.trial_data(data, recipe, {}, Silent())
    known = set()
    try:
        with open(args.out, newline="") as file:
            known = {(r["data"], r["model"], r["width"], r["size"]) for r in csv.DictReader(file)}
    except FileNotFoundError:
        with open(args.out, "w", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writeheader()
    machine = describe_machine()
    for words in args.networks:
        candidate = candidate_of(words, data)
        name, width, size = words.split(":")
        if (args.data, name, width, size) in known:
            continue
        try:
            record(args, task, data, trial_data, recipe, candidate, words, machine)
        except Exception as error:
            print(words, "failed:", error, file=sys.stderr, flush=True)


def pack(path):
    """Write what `fit` knows beforehand: a row for each curve, images seen and accuracy."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for row in rows:
        curves.setdefault((row["data"], row["model"], row["width"], row["size"]), []).append(row)
    target = resources.files("convatlas.search").joinpath(FILE)
    with open(target, "w", newline="") as file:
        out = csv.DictWriter(file, PACKED, lineterminator="\n")
        out.writeheader()
        for (data, model, width, size), points in sorted(curves.items()):
            first, train = points[0], int(points[0]["train"])
            kept = [p for p in points if float(p["epoch"]) >= MIN_EPOCH]
            shown = thinned(kept or points)
            out.writerow(
                {
                    "task": "classify",
                    "data": data,
                    "channels": first["channels"],
                    "model": model,
                    "width": width,
                    "size": size,
                    "macs": first["macs"],
                    "core_seconds": f"{float(first['core_seconds']) / train:.3g}",
                    "points": " ".join(
                        f"{round(train * float(p['epoch']))}:{float(p['accuracy']):.4f}"
                        for p in shown
                    ),
                }
            )
    print(f"{len(curves)} curves written to {target}")


def draw(data):
    """Draw the package's curves of a data set over the seconds that an idle core takes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "learning_curves"
    import matplotlib.pyplot as plt

    text = resources.files("convatlas.search").joinpath(FILE).read_text()
    rows = [row for row in csv.DictReader(text.splitlines()) if row["data"] == data]
    figure, axes = plt.subplots(figsize=(9, 5.5))
    ends = []
    for row in rows:
        points = [tuple(map(float, point.split(":"))) for point in row["points"].split()]
        seconds = [images * float(row["core_seconds"]) for images, _ in points]
        accuracy = [100 * each for _, each in points]
        (line,) = axes.plot(seconds, accuracy, marker="o", markersize=3, linewidth=1.2)
        name = " ".join(filter(None, [row["model"], row["width"], f"{row['size']} px"]))
        ends.append((accuracy[-1], seconds[-1], name, line.get_color()))
    axes.set_xscale("log")
    low, high = axes.get_ylim()
    place = low
    for accuracy, seconds, name, colour in sorted(ends):
        place = max(place + (high - low) / 34, accuracy)
        axes.annotate(
            name,
            (seconds, accuracy),
            xytext=(1.02, (place - low) / (high - low)),
            textcoords="axes fraction",
            fontsize=7,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.3},
        )
    axes.set_xlabel("seconds of training on one idle core")
    axes.set_ylabel("validation accuracy, %")
    axes.set_title(f"{data}: learning curves that fit knows beforehand", fontsize=10)
    axes.grid(alpha=0.3)
    figure.subplots_adjust(left=0.08, right=0.72)
    path = RESULTS.parents[1] / "docs" / "images" / "learning_curves.svg"
    figure.savefig(path, metadata={"Date": None})
    print(f"written to {path}")


def thinned(points):
    """Points about a quarter apart, with the mean of those between."""
    kept, last = [], 0.0
    for place, point in enumerate(points):
        if float(point["epoch"]) >= 1.25 * last or place == len(points) - 1:
            near = points[max(0, place - 1) : place + 2] if float(point["epoch"]) > 6 else [point]
            accuracy = sum(float(p["accuracy"]) for p in near) / len(near)
            kept.append(point | {"accuracy": accuracy})
            last = float(point["epoch"])
    return kept


def record(args, task, data, trial_data, recipe, candidate, words, machine):
    """Train one network and append its curve."""
    name, width, size = words.split(":")
    counted = count_candidate(candidate, Budget())
    torch.manual_seed(0)
    model = candidate.build()
    steps_an_epoch = len(data.splits["train"]) // recipe.batch_size
    spent = [
        probe(trial_data, candidate, model, recipe, steps, steps_an_epoch) for steps in (2, 4, 14)
    ]
    step_s = (spent[2] - spent[1]) / 10  # getting ready is in both, libraries are loaded before
    epochs = max(1.0, args.seconds / (step_s * steps_an_epoch))
    curve = Curve()
    start = time.process_time()
    training = trial_data.training(candidate, recipe, None)
    train(model, training, recipe.with_options(epochs=epochs), log=curve, way="torch")
    used = time.process_time() - start
    with open(args.out, "a", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for row in curve.rows:
            if row.get("val_accuracy") is None:
                continue
            out.writerow(
                {
                    "data": args.data,
                    "train": len(data.splits["train"]),
                    "channels": data.channels,
                    "classes": len(data.classes),
                    "model": name,
                    "width": width,
                    "size": size,
                    "params": counted.cost.params,
                    "macs": counted.cost.macs,
                    "epoch": row["epoch"],
                    "accuracy": round(row["val_accuracy"], 4),
                    "loss": round(row["val_loss"], 4),
                    "core_seconds": round(used / epochs, 3),
                    "device": machine["device"],
                    "convatlas": machine["convatlas"],
                }
            )
    reached = " ".join(
        f"{row['epoch']:.0f}:{100 * row['val_accuracy']:.1f}"
        for row in curve.rows
        if row.get("val_accuracy") is not None
    )
    print(
        f"{words:34s} {counted.cost.params / 1e3:6.0f}k {counted.cost.macs / 1e6:6.1f}M "
        f"{used / epochs:6.1f} core-s/epoch {epochs:5.1f} epochs: {reached}",
        flush=True,
    )


def probe(trial_data, candidate, model, recipe, steps, steps_an_epoch):
    """Processor seconds of a run of so many steps."""
    short = recipe.with_options(epochs=steps / steps_an_epoch)
    start = time.process_time()
    train(
        copy.deepcopy(model), Probe(trial_data.training(candidate, short, 64)), short, way="torch"
    )
    return time.process_time() - start


class Wrapped:
    """A training task, as it is but for what a subclass changes."""

    def __init__(self, task):
        self.task, self.metric = task, task.metric

    def loaders(self, batch_size, seed):
        return self.task.loaders(batch_size, seed)

    def loss(self, model, batch):
        return self.task.loss(model, batch)

    def validate(self, model, loader, gather):
        return self.task.validate(model, loader, gather)


class Probe(Wrapped):
    """Validates nothing: only the steps are timed."""

    def validate(self, model, loader, gather):
        return {"val_accuracy": 0.0, "val_loss": 0.0}


if __name__ == "__main__":
    main()
