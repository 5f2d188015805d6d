"""How far `fit` stays behind the best choice: test accuracy beside trying everything.

    python benchmarks/regret.py fit cifar10 tight 300 --seeds 0 1 2
    python benchmarks/regret.py exhaustive cifar10 tight 300
    python benchmarks/regret.py plain cifar10 tight 300
    python benchmarks/regret.py table

`fit` is the plain command with a time limit for everything. `exhaustive` trains each of
`STRUCTURES` that the budget allows for the whole limit, reading and exporting not counted, which is
more than any job has; its best is known only afterwards. With `--clock processor` it counts the
processor time of one thread, as many seconds as all cores have within the limit: on a busy machine
this is fairer, and it is no less than the limit gives, as two threads never work twice as fast as
one. `--part 0/2` trains every second structure, for two processes beside each other. `plain` is
what `plain_way.py` says, for the whole limit, too. Each row goes to `results/regret.csv` at once,
and what is there already is not measured again. `table` prints regret (the best of `exhaustive`,
less `fit`) and the margin over the plain way. But for `--clock processor`, run it on a machine that
does nothing else.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean

from machine import RESULTS, describe_machine
from small_sets import prepare

RESULT = RESULTS / "regret.csv"
COLUMNS = [
    "way",
    "data",
    "budget",
    "limit",
    "seed",
    "network",
    "accuracy",
    "seconds",
    "clock",
    "load",
]
MIN_TRIED = 16  # structures: with fewer, their best is no measure yet
MACHINE = ["device", "threads", "torch", "convatlas", "date"]
BUDGETS = {  # parameters, multiply-adds: tight, generous
    "digits": {"tight": ("20k", "1M"), "generous": ("500k", "20M")},
    "fashion_mnist": {"tight": ("100k", "5M"), "generous": ("1M", "50M")},
    "cifar10": {"tight": ("500k", "40M"), "generous": ("5M", "500M")},
    "clothing": {"tight": ("1M", "50M"), "generous": ("5M", "500M")},
    "imagenet_samples": {"tight": ("1M", "50M"), "generous": ("5M", "500M")},
}
# NAME:WIDTH: at the largest input of `fit` that the budget allows.
STRUCTURES = (
    "linear_classifier:",
    "lenet5_modern:1.5",
    "resnet20_cifar:0.5",
    "resnet20_cifar:1.0",
    "resnet32_cifar:0.75",
    "fractalnet5_narrow_cifar:1.0",
    "wide_resnet16_4_dropout_cifar:0.25",
    "wide_resnet16_4_dropout_cifar:0.5",
    "wide_resnet22_2_b313_cifar:0.35",
    "nin_cifar:0.35",
    "revnet38_cifar:0.5",
    "densenet_bc100_k12_cifar:0.25",
    "mobilenet_v2:0.35",
    "mobilenet_v1_shallow:0.5",
    "mobilenet29_cifar_w0.5:1.0",
    "shufflenet_v2:0.5",
    "darknet_resnet10:0.25",
    "squeezenet1_1:0.5",
    "mnasnet_small:0.75",
    "googlenet_bn:0.25",
    "resnet18:0.35",
    "resnet18:0.5",
    "mobilenet_v2:1.0",
    "efficientnet_b0:0.5",
)


def rows():
    """What was measured so far."""
    if not RESULT.exists():
        return []
    with RESULT.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def keep(**row):
    """Append a measurement and print it."""
    fresh = not RESULT.exists()
    machine = {key: value for key, value in describe_machine().items() if key in MACHINE}
    row = {"clock": "wall", **row, "load": round(os.getloadavg()[0], 1)}
    with RESULT.open("a", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS + MACHINE, lineterminator="\n")
        if fresh:
            out.writeheader()
        out.writerow(row | machine)
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def run_fit(cell, source, seed, again):
    """The plain command, in a process of its own."""
    params, macs = BUDGETS[cell["data"]][cell["budget"]]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "convatlas.cli.main", "fit", source),
                *("--max-params", params, "--max-macs", macs),
                *("--time-limit", f"{cell['limit']}s", "--seed", str(seed)),
                *("--out", str(Path(folder) / "run"), "--json"),
                *again,
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - start
        told = json.loads(done.stdout)
        stored = json.loads((Path(folder) / "run" / "run.json").read_text())
    network = ":".join(
        str(part)
        for part in (told["model"], stored["options"].get("width", ""), stored["input"][-1])
    )
    accuracy = round(stored["figures"]["accuracy"], 4)
    keep(
        way="fit", **cell, seed=seed, network=network, accuracy=accuracy, seconds=round(seconds, 1)
    )


def opened(source, seed):
    """The data as `fit` opens them."""
    from convatlas.deadline import Deadline
    from convatlas.pipeline.opening import open_data
    from convatlas.progress import Silent
    from convatlas.tasks import find_task

    task = find_task("classify")
    data = open_data(
        task,
        source,
        seed=seed,
        max_broken=0.05,
        options={},
        progress=Silent(),
        deadline=Deadline(1e6),
    )
    return task, data


def run_exhaustive(cell, source, seed, clock, part):
    """Every structure that the budget allows, each for the whole limit."""
    from convatlas.pipeline.config import Trial
    from convatlas.pipeline.training_recipe import suited
    from convatlas.pipeline.trials import LiveTrial, TrialRunner
    from convatlas.progress import Silent
    from convatlas.search.budget import Budget
    from convatlas.search.costed import count_candidate
    from convatlas.tasks.image_networks import input_sizes
    from convatlas.train.recipe import Recipe
    from convatlas.train.stop import StopRequest
    from learning_curves import candidate_of

    params, macs = BUDGETS[cell["data"]][cell["budget"]]
    budget = Budget(params=params, macs=macs)
    task, data = opened(source, seed)
    known = {
        r["network"]
        for r in rows()
        if r["way"] == "exhaustive"
        and all(r[key] == str(cell[key]) for key in cell)
        and r["seed"] == str(seed)
    }
    seconds = float(cell["limit"])
    if clock == "processor":
        import torch

        torch.set_num_threads(1)
        seconds *= os.cpu_count() or 1
        time.perf_counter = time.process_time  # that the training loop reads
    first, step = (int(number) for number in part.split("/"))
    for words in STRUCTURES[first::step]:
        counted = [
            count_candidate(candidate_of(f"{words}:{size}", data), budget)
            for size in input_sizes(data.height * data.width)
        ]
        fitting = [c for c in counted if c.fits]
        if not fitting:
            continue
        chosen = max(fitting, key=lambda c: c.candidate.example["size"])
        network = f"{words}:{chosen.candidate.example['size']}"
        if network in known:
            continue
        recipe = suited(None, data, seed, Recipe())
        with StopRequest() as stop:
            runner = TrialRunner(task, data, recipe, stop, Silent())
            trial = LiveTrial(
                chosen,
                Trial(
                    model=chosen.candidate.name,
                    options={},
                    example={},
                    input=network,
                ),
            )
            runner.speeds.epoch_seconds(chosen)
            runner.read_data([trial])
            runner.choose_ways([trial], 60.0)
            runner.train(trial, seconds, title=network)
        settings, facts = runner.trial_data.settings(chosen.candidate), data.facts()
        predictor = task.predictor(trial.model.eval(), settings, facts).eval()
        accuracy = task.evaluate(predictor, data.splits["test"], facts, Silent()).figures[
            "accuracy"
        ]
        keep(
            way="exhaustive",
            **cell,
            seed=seed,
            network=network,
            accuracy=round(accuracy, 4),
            seconds=seconds,
            clock=clock,
        )


def run_plain(cell, source, seed):
    """What a user does without convatlas: the better of two networks of timm."""
    import plain_way
    from convatlas.data import CachedImages, Preprocess
    from convatlas.search.budget import Budget

    params, macs = BUDGETS[cell["data"]][cell["budget"]]
    _, data = opened(source, seed)
    side = round((data.height * data.width) ** 0.5)
    for name in plain_way.NETWORKS:
        found = plain_way.within(
            name, Budget(params=params, macs=macs), len(data.classes), data.channels, side
        )
        if found is None:
            continue
        model, width, size = found
        how = Preprocess.fit(data.splits["train"], data.channels, size)
        kept = {
            s: CachedImages(data.splits[s], size, how=how.resize) for s in ("train", "val", "test")
        }
        images = {s: torch_images(k) for s, k in kept.items()}
        plain_way.train_plainly(
            model, *images["train"], how.mean, how.std, size, float(cell["limit"]), seed
        )
        keep(
            way="plain",
            **cell,
            seed=seed,
            network=f"{name}:{width}:{size}",
            accuracy=round(plain_way.accuracy(model, *images["test"], how.mean, how.std), 4),
            seconds=cell["limit"],
        )


def torch_images(kept):
    """All images and labels of a split as two tensors."""
    import torch

    pairs = [kept[i] for i in range(len(kept))]
    return torch.stack([image for image, _ in pairs]), torch.tensor(
        [int(label) for _, label in pairs]
    )


def table():
    """Print regret and margin for each cell that has been measured."""
    cells = defaultdict(lambda: defaultdict(list))
    for row in rows():
        key = (row["data"], row["budget"], row["limit"])
        cells[key][row["way"], row["network"] if row["way"] != "fit" else ""].append(
            float(row["accuracy"])
        )
    regrets, margins = [], []
    for (data, budget, limit), ways in sorted(cells.items()):
        fit = [mean(v) for (way, _), v in ways.items() if way == "fit"]
        tried = {n: mean(v) for (way, n), v in ways.items() if way == "exhaustive"}
        plain = {n: mean(v) for (way, n), v in ways.items() if way == "plain"}
        line = f"{data:18s} {budget:9s} {limit:>4s} s"
        if fit:
            line += f"  fit {100 * fit[0]:.1f} %"
        if tried:
            best = max(tried, key=tried.get)
            line += f"  best of {len(tried)}: {100 * tried[best]:.1f} % ({best})"
        if plain:
            best_plain = max(plain, key=plain.get)
            line += f"  plain {100 * plain[best_plain]:.1f} % ({best_plain})"
        if fit and len(tried) >= MIN_TRIED:
            regrets.append(100 * (max(tried.values()) - fit[0]))
            line += f"  regret {regrets[-1]:.1f}"
        if fit and plain:
            margins.append(100 * (fit[0] - max(plain.values())))
            line += f"  margin {margins[-1]:+.1f}"
        print(line)
    if regrets:
        print(f"mean regret {mean(regrets):.1f}, worst {max(regrets):.1f}")
    if margins:
        print(f"least margin over the plain way {min(margins):+.1f}")


def main():
    """Measure a cell, or print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("way", choices=["fit", "exhaustive", "plain", "table"])
    asked.add_argument("data", nargs="?", choices=list(BUDGETS))
    asked.add_argument("budget", nargs="?", choices=["tight", "generous"])
    asked.add_argument("limit", nargs="?", type=int, help="seconds")
    asked.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked.add_argument("--scratch", default=str(Path(tempfile.gettempdir()) / "convatlas-sets"))
    asked.add_argument("--clock", choices=["wall", "processor"], default="wall")
    asked.add_argument("--part", default="0/1", metavar="FIRST/STEP", help="of the structures")
    args, again = asked.parse_known_args()  # the rest goes to `fit`
    if args.way == "table":
        return table()
    source = prepare(args.data, args.scratch)
    cell = {"data": args.data, "budget": args.budget, "limit": args.limit}
    for seed in args.seeds:
        if args.way == "fit":
            run_fit(cell, source, seed, again)
        elif args.way == "exhaustive":
            run_exhaustive(cell, source, seed, args.clock, args.part)
        else:
            run_plain(cell, source, seed)


if __name__ == "__main__":
    main()
