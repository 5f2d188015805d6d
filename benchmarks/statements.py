"""Do the papers' statements hold? Networks that differ in one thing, trained alike on CIFAR-10.

    python benchmarks/statements.py SCRATCH [STATEMENT ...] [--seeds 0 1 2]

Each network of a statement learns from the same 5,000 images of the JPEG copy of CIFAR-10 for as
many epochs by the package's own recipe, and is judged once, at the end, on the same 2,000 test
images: the papers train on ten times as many for 15 times as long. A row is added as soon as a
network is trained, and what has its row is not trained again. `STATEMENTS` has the networks; the
table of docs/ideas/statements.md is written from all rows, also without training (`--only-page`).
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

import convatlas as ca
from convatlas.cli.progress import progress_on_stderr
from convatlas.cost.count import count
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from machine import read_results, write_results
from small_cifar import SIDE, SmallCifar

IMAGES, EPOCHS, BATCH = 5000, 12, 64
DOCS = Path(__file__).parents[1] / "docs"

# What the paper says, and its networks by what they are called in the table.
STATEMENTS = {
    "pyramid": (
        "PydMobileNet (Hoang and Jo, 2018): depthwise filters of three sizes, side by side, are "
        "better than filters of one size at about the same cost",
        {
            "one size": ("mobilenet29_cifar_w0.5", {}),
            "three sizes, added": ("pydmobilenet29_cifar_w0.25", {}),
            "three sizes, concatenated": ("pydmobilenet29_cifar_w0.25_concat", {}),
        },
    ),
    "residual": (
        "ResNet (He et al., 2016): a deeper plain network is worse than a shallower one, a deeper "
        "residual one is not",
        {
            "plain, 20 layers": ("plain20_cifar", {}),
            "plain, 56 layers": ("plain56_cifar", {}),
            "residual, 20 layers": ("resnet20_cifar", {}),
            "residual, 56 layers": ("resnet56_cifar", {}),
        },
    ),
    "average": (
        "Network in network (Lin et al., 2014): averaging a map for each class is better than a "
        "fully connected layer",
        {
            "fully connected": ("nin_cifar_fc", {"width": 0.25}),
            "average": ("nin_cifar", {"width": 0.25}),
        },
    ),
    "reversible": (
        "RevNet (Gomez et al., 2017): a reversible network of the same size is as good",
        {"ResNet-32": ("resnet32_cifar", {}), "RevNet-38": ("revnet38_cifar", {})},
    ),
    "stochastic depth": (
        "Stochastic depth (Huang et al., 2016): leaving units out by chance while training makes "
        "the network better and its training faster",
        {
            "all units": ("resnet56_cifar", {}),
            "units left out": ("resnet110_stochastic_depth_cifar", {"depth": 56}),
        },
    ),
    "dense": (
        "DenseNet (Huang et al., 2017): with as many parameters, a DenseNet-BC is better than a "
        "ResNet",
        {
            "ResNet-14": ("resnet20_cifar", {"depth": 14}),
            "DenseNet-BC-40": ("densenet_bc100_k12_cifar", {"depth": 40}),
        },
    ),
}


def measured(name, options, seed, images):
    """Train one network. Columns of its row."""
    torch.manual_seed(seed)
    model = ca.create_model(name, num_classes=10, **options)
    counted = count(model, torch.zeros(1, 3, SIDE, SIDE))
    recipe = Recipe(epochs=EPOCHS, batch_size=BATCH, seed=seed)
    start = time.process_time()
    # Validated once, at the end: the test images choose no weights.
    shown = progress_on_stderr()
    result = train(model, images.task(), recipe, validate_every_s=1e9, progress=shown, title=name)
    return {
        "params": counted.params,
        "macs": counted.macs,
        "epochs": EPOCHS,
        "images": IMAGES,
        "accuracy_percent": round(100 * result.figures["val_accuracy"], 2),
        "loss": round(result.figures["val_loss"], 4),
        "core_s_per_epoch": round((time.process_time() - start) / EPOCHS, 1),
    }


def named(name, options):
    """A network as its row has it."""
    return ":".join([name, *(f"{key}={value}" for key, value in options.items())])


def main(scratch, statements, seeds):
    torch.set_num_threads(1)
    images = SmallCifar(scratch, IMAGES)
    for seed in seeds:  # all networks with one seed first: what is there can be compared
        for statement in statements:
            for called, (name, options) in STATEMENTS[statement][1].items():
                said = named(name, options)
                known = {(row["network"], row["seed"]) for row in read_results("statements")}
                if (said, str(seed)) in known:
                    continue
                row = {"network": said, "seed": seed} | measured(name, options, seed, images)
                print(statement, called, flush=True)
                write_results("statements", [row], append=True)


def write_page():
    """The table of the page, from every row that was measured."""
    sys.path.insert(0, str(DOCS))
    from readme_parts import replace_part

    rows = read_results("statements")
    parts = [text for each in STATEMENTS for text in part(each, rows)]
    replace_part(DOCS / "ideas" / "statements.md", "statements", "\n".join(parts).rstrip())


def part(statement, rows):
    """Lines of one statement: what it says, and a table of its networks; none is measured: none."""
    says, networks = STATEMENTS[statement]
    lines = []
    for called, (name, options) in networks.items():
        said = named(name, options)
        mine = [row for row in rows if row["network"] == said]
        if mine:
            lines.append(line(called, said, mine))
    if not lines:
        return []
    heads = ("", "network", "params", "macs", "core seconds an epoch", "accuracy by seed", "mean")
    table = [heads, ["---"] * len(heads), *lines]
    return [f"**{says}.**", "", *(f"| {' | '.join(each)} |" for each in table), ""]


def line(called, said, rows):
    """Cells of one network."""
    reached = [float(row["accuracy_percent"]) for row in sorted(rows, key=lambda r: r["seed"])]
    seconds = statistics.mean(float(row["core_s_per_epoch"]) for row in rows)
    return [
        called,
        f"`{said}`",
        f"{int(rows[0]['params']) / 1e3:.0f} k",
        f"{int(rows[0]['macs']) / 1e6:.1f} M",
        f"{seconds:.0f}",
        " ".join(f"{each:.1f}" for each in reached),
        f"{statistics.mean(reached):.1f} %",
    ]


if __name__ == "__main__":
    words = argparse.ArgumentParser(description="Networks that differ in one thing.")
    words.add_argument("scratch", help="folder for the images")
    words.add_argument("statements", nargs="*", default=[*STATEMENTS], metavar="STATEMENT")
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    words.add_argument("--only-page", action="store_true", help="train nothing")
    asked = words.parse_args()
    if unknown := [each for each in asked.statements if each not in STATEMENTS]:
        words.error(f"no statement {unknown[0]!r}; there are {', '.join(STATEMENTS)}")
    if not asked.only_page:
        main(asked.scratch, asked.statements, asked.seeds)
    write_page()
