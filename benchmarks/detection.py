"""Blood cells of BCCD: average precision of a detector that `fit` trains.

Needs CONVATLAS_DATA with the folder `bccd`, whose own split is used: 205 images to learn from, 87
to validate, 72 to test. Each run adds a row to `results/detection.csv`, and the table of
docs/tasks/detect.md is written anew; `core_s` are the seconds of processor time that it took
altogether, since other work may share the machine. `--only-page` writes the table alone.

`--epochs` ends the training on a machine that is busy, where a time would cut it short.

`python benchmarks/detection.py --network spinenet49xs_mobile_retinanet --size 256 --epochs 25`
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import convatlas as ca
from convatlas.cli.progress import progress_on_stderr
from convatlas.train.box_figures import MAP, MAP_50
from machine import RESULTS, write_results

DOCS = Path(__file__).parents[1] / "docs"
HEADS = ("network", "pixels", "weights", "minutes of one core", "epochs", "mAP@0.5", "mAP@0.5:0.95")


def main(network, size, pretrained, seed, seconds, epochs, augmentation, out):
    data = Path(os.environ["CONVATLAS_DATA"]) / "bccd"
    start = time.process_time()
    with patch("convatlas.tasks.box_networks.SIZES", (size,)):
        run = ca.fit(
            data,
            task="detect",
            model=network,
            pretrained="yes" if pretrained else "no",
            time_limit_s=None if epochs else seconds,
            epochs=epochs,
            seed=seed,
            out=out,
            metric=MAP_50.key,
            augmentation=augmentation,
            progress=progress_on_stderr(),
        )
    core_s = time.process_time() - start
    judged = run.evaluate()
    chosen = next(trial for trial in run.leaderboard if trial.status == "chosen")
    row = {"network": network, "size": size, "pretrained": pretrained, "seed": seed}
    row |= {"augmentation": augmentation, "params": run.config.params, "macs": run.config.macs}
    row |= {"limit_s": "" if epochs else seconds, "core_s": round(core_s), "epochs": chosen.epochs}
    row |= {
        f"{metric.key}_percent": _percent(judged.figures[metric.key]) for metric in (MAP_50, MAP)
    }
    row |= {f"{each['class']}_ap_50_percent": _percent(each[MAP_50.key]) for each in judged.rows()}
    write_results("detection", [row], append=True)


def write_page():
    sys.path.insert(0, str(DOCS))
    from readme_parts import replace_part

    with (RESULTS / "detection.csv").open(encoding="utf-8", newline="") as file:
        rows = [cells(row) for row in csv.DictReader(file)]
    lines = [HEADS, ["---"] * len(HEADS), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    replace_part(DOCS / "tasks" / "detect.md", "detection", text)


def cells(row):
    return [
        f"`{row['network']}`",
        row["size"],
        "public" if row["pretrained"] == "True" else "fresh",
        f"{float(row['core_s']) / 60:.0f}",
        f"{float(row['epochs']):.0f}",
        f"{float(row['map_50_percent']):.1f} %",
        f"{float(row['map_50_95_percent']):.1f} %",
    ]


def _percent(share):
    return round(100 * share, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Average precision on BCCD.")
    parser.add_argument("--network", default="ssdlite_mobilenet_v2")
    parser.add_argument("--size", type=int, default=320, help="side of the images in pixels")
    parser.add_argument("--pretrained", action="store_true", help="public weights of the backbone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2400.0, help="of the whole job")
    parser.add_argument("--epochs", type=int, default=None, help="instead of a time")
    parser.add_argument("--augmentation", default="cells")
    parser.add_argument("--out", default=None, help="run folder; a temporary one where not given")
    parser.add_argument("--only-page", action="store_true", help="train nothing")
    given = vars(parser.parse_args())
    if not given.pop("only_page"):
        with tempfile.TemporaryDirectory() as folder:
            main(**given | {"out": given["out"] or Path(folder, "run")})
    write_page()
