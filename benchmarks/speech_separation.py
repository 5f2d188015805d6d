"""Two voices of strangers: small Conv-TasNet, its MiTAS twin and TseNet on librispeech_mini.

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
from convatlas.models.speech.speaker_statistics import SpeakerStatistics
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.signal_losses import improvement, si_snr
from convatlas.train.tasks.extract import Extract
from convatlas.train.tasks.separate import Separate
from machine import RESULTS, describe_machine

RATE_HZ, SECONDS, BATCH = 8000, 2, 4
BANDS = 40
SMALL = {"filter_length": 40, "hidden": 128, "blocks": 6, "repeats": 2}
NETWORKS = {
    "conv_tasnet": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64} | SMALL,
    "mitas": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64, "bias": True} | SMALL,
    "tsenet": {"encoder_filters": 128, "channels": 64, "speaker_channels": 64} | SMALL,
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


def halves(found):
    """As two utterances: the training speakers have one each."""
    return {name: [p for u in us for p in u.split(len(u) // 2)[:2]] for name, us in found.items()}


def speaker_vector():
    """From an utterance to its speaker's vector."""
    statistics = SpeakerStatistics(RATE_HZ, BANDS)
    return lambda utterance: statistics(utterance[None])[0]


def main():
    words = argparse.ArgumentParser()
    words.add_argument("network", choices=NETWORKS)
    words.add_argument("--steps", type=int, default=8000, help=f"of {BATCH} mixtures each")
    given = words.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    extracts = given.network == "tsenet"
    options = NETWORKS[given.network] | ({"speaker_features": 2 * BANDS} if extracts else {})
    model = create_model(given.network, **options)
    describe = speaker_vector() if extracts else None
    heard, strangers = speakers("train"), speakers("test")
    if extracts:
        heard = halves(heard)
    names = sorted(heard)
    held = {name: heard.pop(name) for name in names[:: len(names) // 25]}
    samples = RATE_HZ * SECONDS
    training = Mixtures(heard, samples, BATCH * EPOCH, fresh=True, describe=describe)
    validation = Mixtures(held, samples, 60, seed=1, describe=describe)
    task = (Extract if extracts else Separate)(training, validation)
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
    figures = test(model.eval(), Mixtures(strangers, samples, TESTED, seed=2, describe=describe))
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
    """Improvement in dB; of an extractor also how often its voice is the one asked for."""
    gains, right = [], []
    for mixture, *told, truth in (tuple(x[None] for x in row) for row in mixtures):
        answer = model(mixture, *told)
        if not told:
            gains.append(improvement(answer, truth, mixture).item())
            continue
        wanted = si_snr(answer, truth)
        gains.append((wanted - si_snr(mixture, truth)).item())
        right.append((wanted > si_snr(answer, mixture - truth)).item())
    return {
        "si_snri_db": round(sum(gains) / len(gains), 2),
        "right_speaker_percent": round(100 * sum(right) / len(right), 1) if right else "",
    }


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
