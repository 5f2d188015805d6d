"""Blood cells of BCCD: average precision of a detector that `fit` trains within a time.

Needs CONVATLAS_DATA with the folder `bccd`, whose own split is used: 205 images to learn from, 87
to validate, 72 to test. Each run adds a row to `results/detection.csv`; `core_s` are the seconds
of processor time that it took altogether, since other work may share the machine.

`python benchmarks/detection.py --network spinenet49xs_mobile_retinanet --size 256 --seconds 2400`
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import convatlas as ca
from convatlas.cli.progress import progress_on_stderr
from convatlas.train.box_figures import MAP, MAP_50
from machine import write_results


def main(network, size, pretrained, seed, seconds, augmentation, out):
    data = Path(os.environ["CONVATLAS_DATA"]) / "bccd"
    start = time.process_time()
    with patch("convatlas.tasks.box_networks.SIZES", (size,)):
        run = ca.fit(
            data,
            task="detect",
            model=network,
            pretrained="yes" if pretrained else "no",
            time_limit_s=seconds,
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
    row |= {"limit_s": seconds, "core_s": round(core_s), "epochs": chosen.epochs}
    row |= {
        f"{metric.key}_percent": _percent(judged.figures[metric.key]) for metric in (MAP_50, MAP)
    }
    row |= {f"{each['class']}_ap_50_percent": _percent(each[MAP_50.key]) for each in judged.rows()}
    write_results("detection", [row], append=True)


def _percent(share):
    return round(100 * share, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Average precision on BCCD.")
    parser.add_argument("--network", default="ssdlite_mobilenet_v2")
    parser.add_argument("--size", type=int, default=320, help="side of the images in pixels")
    parser.add_argument("--pretrained", action="store_true", help="public weights of the backbone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2400.0, help="of the whole job")
    parser.add_argument("--augmentation", default="cells")
    parser.add_argument("--out", default=None, help="run folder; a temporary one where not given")
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        main(**given | {"out": given["out"] or Path(folder, "run")})
