"""Whether every detector of the atlas, exported, finds the same boxes on real images.

Each one (narrowest width, smallest size that suits the data) is trained for a few batches of the
BCCD blood cells, so that some boxes are sure; then its ONNX file and the network answer the same
test images at their own size, pre- and post-processing inside. Needs `CONVATLAS_DATA` with a folder
`bccd`. Writes `results/detection_exports.csv`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch

from convatlas.deploy.onnx_file import export_onnx
from convatlas.deploy.parity import TOLERANCE, check_parity
from convatlas.errors import ExportError
from convatlas.models import find_entry
from convatlas.models.detect.found import SURE_SCORE
from convatlas.progress import Silent
from convatlas.search.space import distinct_architectures
from convatlas.tasks import find_task
from machine import write_results


def check(name, task, data, trial, items, steps):
    candidate = task.fresh([find_entry(name)], data, fixed_width=False)[name][-1][-1]
    torch.manual_seed(0)
    network = candidate.build().train()
    training = trial.training(candidate, task.recipe, judged=None)
    batches, _ = training.loaders(8, 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    done = 0
    while done < steps:
        for batch in batches:
            optimizer.zero_grad()
            training.loss(network, batch).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            done += 1
            if done == steps:
                break
    predictor = task.predictor(network.eval(), trial.settings(candidate), data.facts()).eval()
    found = predictor.predict(items)
    row = {
        "model": name,
        "size": candidate.example["size"],
        "width": candidate.options.get("width", 1.0),
        "steps": steps,
        "images": len(items),
        "boxes": sum(int((each.scores > 0).sum()) for each in found),
        "sure_boxes": sum(int((each.scores > SURE_SCORE).sum()) for each in found),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        start = time.perf_counter()
        export_onnx(predictor, path, metadata={})
        row["export_s"] = round(time.perf_counter() - start, 1)
        try:
            parity = check_parity(predictor, path, items)
        except ExportError as error:
            print(f"{name}: {error}", flush=True)
            return row | {"agreement": "", "max_difference": "", "passed": False}
    return row | {
        "agreement": parity.agreement,
        "max_difference": f"{parity.max_difference:.2g}",
        "passed": parity.passed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="detectors; all architectures where none is named")
    parser.add_argument("--steps", type=int, default=60, help="batches of 8 images to train on")
    parser.add_argument("--images", type=int, default=20, help="test images that are compared")
    asked = parser.parse_args()
    if "CONVATLAS_DATA" not in os.environ:
        print("skipped: CONVATLAS_DATA must name the folder that holds bccd")
        return
    task = find_task("detect")
    folder = Path(os.environ["CONVATLAS_DATA"]) / "bccd"
    data = task.open(folder, seed=0, max_broken=0, options={}, progress=lambda *_: None)
    trial = task.trial_data(data, task.recipe, {}, Silent())
    items = task.sample(data.splits["test"], asked.images)
    names = asked.names or [entry.name for entry in distinct_architectures("detect")]
    rows = []
    for name in names:
        rows.append(check(name, task, data, trial, items, asked.steps))
        print(name, rows[-1]["passed"], rows[-1]["sure_boxes"], flush=True)
    write_results("detection_exports", rows)
    print(f"{sum(row['passed'] for row in rows)} of {len(rows)} agree within {TOLERANCE}")


if __name__ == "__main__":
    main()
