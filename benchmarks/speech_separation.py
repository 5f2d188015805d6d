"""Two voices of strangers: small Conv-TasNet and its MiTAS twin on librispeech_mini.

    python speech_separation.py conv_tasnet --steps 8000

Steps end the training, no clock: a busy machine gives the same figures.

`CONVATLAS_DATA` names the folder that holds librispeech_mini/. Training mixes the training speakers
on the fly; the figures are of mixtures of the test speakers, whom the network has never heard. A
row is added to results/speech_separation.csv.
"""

import argparse
import csv
import os
import time
from collections import defaultdict
from pathlib import Path

import torch

from convatlas.cli.progress import progress_on_stderr
from convatlas.data.audio.mixtures import Mixtures
from convatlas.data.audio.read import read_sound
from convatlas.models import create_model
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.signal_losses import improvement
from convatlas.train.tasks.separate import Separate
from machine import RESULTS, describe_machine

RATE_HZ, SECONDS, BATCH = 8000, 2, 4
SMALL = {"filter_length": 40, "hidden": 128, "blocks": 6, "repeats": 2}
NETWORKS = {
    "conv_tasnet": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64} | SMALL,
    "mitas": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64, "bias": True} | SMALL,
}
TESTED = 200  # mixtures
EPOCH = 200  # steps between two validations


def speakers(split):
    """Utterances of each speaker of a split."""
    folder = Path(os.environ.get("CONVATLAS_DATA", "")) / "librispeech_mini"
    if not (folder / "meta.csv").exists():
        raise SystemExit("CONVATLAS_DATA must name the folder that holds librispeech_mini/")
    found = defaultdict(list)
    for row in csv.DictReader((folder / "meta.csv").open(encoding="utf-8")):
        if row["split"] == split:
            found[row["speaker"]].append(read_sound(folder / "audio" / row["file"], RATE_HZ))
    return dict(found)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("network", choices=NETWORKS)
    words.add_argument("--steps", type=int, default=8000, help=f"of {BATCH} mixtures each")
    given = words.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = create_model(given.network, **NETWORKS[given.network])
    heard, strangers = speakers("train"), speakers("test")
    names = sorted(heard)
    held = {name: heard.pop(name) for name in names[:: len(names) // 25]}
    samples = RATE_HZ * SECONDS
    training = Mixtures(heard, samples, BATCH * EPOCH, fresh=True)
    validation = Mixtures(held, samples, 60, seed=1)
    task = Separate(training, validation)
    recipe = Recipe(
        lr=2e-3,
        weight_decay=0.0,
        epochs=given.steps / EPOCH,
        batch_size=BATCH,
        warmup=0.03,
        clip_norm=5.0,
    )
    start = time.process_time()
    train(model, task, recipe, progress=progress_on_stderr())
    figures = test(model.eval(), Mixtures(strangers, samples, TESTED, seed=2))
    row = {
        "network": given.network,
        "params": sum(p.numel() for p in model.parameters()),
        "steps": given.steps,
        "processor_minutes": round((time.process_time() - start) / 60, 1),
        **figures,
    }
    add(row | describe_machine())


@torch.no_grad()
def test(model, mixtures):
    """Improvement in dB."""
    gains = [improvement(model(m[None]), v[None], m[None]).item() for m, v in mixtures]
    return {"si_snri_db": round(sum(gains) / len(gains), 2)}


def add(row):
    path = RESULTS / "speech_separation.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
