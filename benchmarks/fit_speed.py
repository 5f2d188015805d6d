"""Steps and images per second of a trial of `fit`, with the CPU kernels and without them.

Each setting is a process of its own (`CONVATLAS_KERNELS` holds for a process): it opens the same
noise images as `fit` does, measures which way a step is fastest, and trains for a fixed time with
the classes that `fit` trains with. Settings take turns, and the fastest round of each is compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from machine import write_results

NETWORKS = ("mobilenet_v2", "resnet18")  # a depthwise network and an ordinary one
CLASSES, IMAGES = 4, 60  # of each class


def write_images(folder, size):
    """Noise with a tint for each class, as PNG files in a folder a class."""
    draw = np.random.default_rng(0)
    for kind in range(CLASSES):
        (folder / f"class{kind}").mkdir()
        for i in range(IMAGES):
            pixels = draw.integers(0, 200, (size, size, 3), dtype=np.uint8)
            pixels[..., kind % 3] //= 1 + kind
            Image.fromarray(pixels).save(folder / f"class{kind}" / f"{i}.png")


def train(folder, name, size, seconds):
    """One round of training as `fit` gives it; prints what was reached as JSON."""
    from convatlas.data import open_images
    from convatlas.pipeline.config import Trial
    from convatlas.pipeline.trials import LiveTrial, TrialRunner
    from convatlas.progress import Silent
    from convatlas.search.budget import Budget
    from convatlas.search.costed import count_candidate
    from convatlas.search.space import Candidate
    from convatlas.tasks.classify import TASK
    from convatlas.train.recipe import Recipe
    from convatlas.train.stop import StopRequest

    recipe = Recipe(batch_size=16, epochs=1e6)
    runner = TrialRunner(TASK, open_images(folder), recipe, StopRequest(), Silent())
    candidate = Candidate(name, {"in_channels": 3, "num_classes": CLASSES}, {"size": size})
    record = Trial(model=name, options={}, example={"size": size}, input=f"{size} px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    runner.read_data([trial])
    runner.choose_ways([trial], 600.0)
    runner.train(trial, 5.0, title="warming up")
    result = runner.train(trial, seconds, title="timed")
    print(json.dumps({"way": trial.way, "steps": result.steps, "seconds": result.seconds}))


def measure(folder, name, options, kernels):
    command = [sys.executable, __file__, "--train", str(folder), "--networks", name]
    command += ["--size", str(options.size), "--seconds", str(options.seconds)]
    environment = os.environ | {"CONVATLAS_KERNELS": str(int(kernels))}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["steps"] / found["seconds"], found["way"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", type=Path, help="train on this folder and print what came of it")
    options = parser.parse_args()
    if options.train:
        train(options.train, options.networks[0], options.size, options.seconds)
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, options.size)
        for network in options.networks:
            best, ways = {True: 0.0, False: 0.0}, {}
            for _ in range(options.rounds):
                for kernels in best:
                    speed, ways[kernels] = measure(folder, network, options, kernels)
                    best[kernels] = max(best[kernels], speed)
            rows += [
                {"model": network, "size": options.size, "batch": 16, "kernels": kernels}
                | {"way": ways[kernels], "steps_per_s": round(speed, 2)}
                | {"images_per_s": round(speed * 16, 1)}
                | {"over_without": round(speed / best[False], 2), "rounds": options.rounds}
                for kernels, speed in best.items()
            ]
    write_results("fit_speed", rows)


if __name__ == "__main__":
    main()
