"""The voice of one speaker out of two: a small TseNet on librispeech_mini, told by clips.

    python speech_extraction.py trained --steps 8000

Steps end the training, no clock: a busy machine gives the same figures.

`CONVATLAS_DATA` names the folder that holds librispeech_mini/. The training speakers have one
recording each, which is halved: one half is mixed, the other one tells the speaker. The figures are
of mixtures of the test speakers, whom the network has never heard, told by clips of other
recordings; each mixture is asked for both voices. A row is added to results/speech_extraction.csv.
"""

import argparse
import os
import time
from pathlib import Path

import torch

from convatlas.cli.progress import progress_on_stderr
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.open_extraction import Enrolling, open_extraction
from convatlas.deploy.extractor import Extractor
from convatlas.models import create_model
from convatlas.progress import Silent
from convatlas.tasks.extract import TASK
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.extract import Extract
from machine import write_results

RATE_HZ, SECONDS, CLIP_SECONDS, BATCH = 8000, 2.0, 3.0, 8
TESTED, VALIDATED = 200, 50  # mixtures
EPOCH = 100  # steps between two validations


def opened(speaker):
    """The recordings: train and test as their list has them, validation cut off train."""
    listed = Path(os.environ.get("CONVATLAS_DATA", "")) / "librispeech_mini" / "meta.csv"
    if not listed.exists():
        raise SystemExit("CONVATLAS_DATA must name the folder that holds librispeech_mini/")
    enrolling = Enrolling(
        RATE_HZ, seconds=SECONDS, clip_seconds=CLIP_SECONDS, speaker=speaker, single="halve"
    )
    return open_extraction(listed, enrolling=enrolling, kept=KeptSounds(1 << 30))


def trained(model, data, given):
    """The network, trained for so many steps."""
    lengths = round(SECONDS * RATE_HZ), round(CLIP_SECONDS * RATE_HZ)
    speech = data.splits["train"].mixer
    speech.count = BATCH * EPOCH
    val = data.splits["val"].subset(range(VALIDATED)).pieces(*lengths)
    recipe = Recipe(
        lr=given.lr,
        weight_decay=0.01,
        epochs=given.steps / EPOCH,
        batch_size=BATCH,
        warmup=0.03,
        clip_norm=5.0,
    )
    task = Extract(speech.pieces(*lengths, fresh=True), val)
    train(model, task, recipe, progress=progress_on_stderr())
    return model.eval()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("speaker", choices=("trained", "statistics"))
    words.add_argument("--steps", type=int, default=8000, help=f"of {BATCH} mixtures each")
    words.add_argument("--width", type=float, default=0.5)
    words.add_argument("--filter-length", type=int, default=80, help="samples of a window")
    words.add_argument("--lr", type=float, default=2e-3)
    words.add_argument("--tested", type=int, default=TESTED, help="mixtures of the test")
    given = words.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = opened(given.speaker)
    sizes = {"width": given.width, "filter_length": given.filter_length}
    model = create_model("tsenet_small", enrolment=given.speaker, **sizes)
    start = time.process_time()
    trained(model, data, given)
    minutes = (time.process_time() - start) / 60
    test = data.splits["test"].subset(range(given.tested))
    extractor = Extractor(model, RATE_HZ, SECONDS, CLIP_SECONDS)
    judged = TASK.evaluate(extractor, test, data.facts(), Silent())
    low, high = judged.picked.interval
    both = [r and s for r, s in zip(judged.right, judged.swapped, strict=True) if s is not None]
    row = {
        "speaker": given.speaker,
        **sizes,
        "params": sum(p.numel() for p in model.parameters()),
        "steps": given.steps,
        "processor_minutes": round(minutes, 1),
        "mixtures": len(judged),
        "si_sdri_db": round(judged.figures["si_sdri_db"], 2),
        "right_speaker_percent": round(100 * judged.picked.share, 1),
        "from_percent": round(100 * low, 1),
        "to_percent": round(100 * high, 1),
        "other_speaker_percent": round(100 * judged.figures["other_speaker"], 1),
        "both_voices_percent": round(100 * sum(both) / len(both), 1),
    }
    write_results("speech_extraction", [row], append=True)


if __name__ == "__main__":
    main()
