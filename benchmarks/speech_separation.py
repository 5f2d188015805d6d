"""Two voices of strangers, or a stranger's voice over music: small Conv-TasNet and its MiTAS twin.

    python speech_separation.py conv_tasnet --steps 8000
    python speech_separation.py conv_tasnet --over music --steps 3000

Steps end the training, no clock: a busy machine gives the same figures.

`CONVATLAS_DATA` names the folder that holds librispeech_mini/ and music8k/. Training mixes the
training speakers (and training tracks) on the fly; the figures are of mixtures of the test speakers
(and tracks), which the network has never heard. Each voice has a level drawn between -2.5 and 2.5
dB, music as well. A row is added to results/speech_separation.csv. With `--weights FILE` what was
trained is kept there, and judged without training where the file exists.
"""

import argparse
import csv
import os
import time
import warnings
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from convatlas.cli.progress import progress_on_stderr
from convatlas.data.audio.mixtures import Mixtures
from convatlas.data.audio.read import read_sound
from convatlas.explain.signals.speech_quality import SpeechQuality, judged_places
from convatlas.models import create_model
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.signal_losses import separation, si_snr
from convatlas.train.tasks.separate import Separate
from machine import write_results

RATE_HZ, SECONDS, BATCH = 8000, 2, 4
SMALL = {"filter_length": 40, "hidden": 128, "blocks": 6, "repeats": 2}
NETWORKS = {
    "conv_tasnet": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64} | SMALL,
    "mitas": {"encoder_filters": 128, "bottleneck": 64, "skip_channels": 64, "bias": True} | SMALL,
}
TESTED = 200  # mixtures
EPOCH = 200  # steps between two validations


def recordings(folder, split):
    """Recordings of a split, by speaker where the list names speakers."""
    place = Path(os.environ.get("CONVATLAS_DATA", "")) / folder
    if not (place / "meta.csv").exists():
        raise SystemExit(f"CONVATLAS_DATA must name the folder that holds {folder}/")
    found = defaultdict(list)
    for row in csv.DictReader((place / "meta.csv").open(encoding="utf-8")):
        if row["split"] == split:
            sound = read_sound(place / "audio" / row["file"], RATE_HZ)
            found[row.get("speaker", row["file"])].append(sound)
    return dict(found)


class Sources:
    """Training, validation and test recordings, none of a speaker or track in two of them."""

    def __init__(self, over):
        self.speech = self._parts("librispeech_mini", 25)
        self.music = self._parts("music8k", 6) if over == "music" else None

    def mixtures(self, part, count, **options):
        """Mixtures of a part of the recordings."""
        if self.music is not None:
            options["background"] = [s for each in self.music[part].values() for s in each]
        return Mixtures(self.speech[part], RATE_HZ * SECONDS, count, **options)

    def _parts(self, folder, validated):
        heard, strangers = recordings(folder, "train"), recordings(folder, "test")
        names = sorted(heard)
        held = {name: heard.pop(name) for name in names[:: len(names) // validated]}
        return {"train": heard, "val": held, "test": strangers}


def trained(model, sources, steps, fixed):
    """Train so many steps; processor minutes of it."""
    training = sources.mixtures("train", BATCH * EPOCH, fresh=True)
    task = Separate(training, sources.mixtures("val", 60, seed=1), fixed=fixed)
    recipe = Recipe(
        lr=2e-3,
        weight_decay=0.0,
        epochs=steps / EPOCH,
        batch_size=BATCH,
        warmup=0.03,
        clip_norm=5.0,
    )
    start = time.process_time()
    train(model, task, recipe, progress=progress_on_stderr())
    return (time.process_time() - start) / 60


def main():
    words = argparse.ArgumentParser()
    words.add_argument("network", choices=NETWORKS)
    words.add_argument("--over", choices=("voice", "music"), default="voice")
    words.add_argument("--steps", type=int, default=8000, help=f"of {BATCH} mixtures each")
    words.add_argument("--weights", type=Path, help="file of trained weights, written or read")
    given = words.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = create_model(given.network, **NETWORKS[given.network])
    sources, fixed = Sources(given.over), int(given.over == "music")
    if given.weights and given.weights.exists():
        model.load_state_dict(load_file(given.weights))
        with safe_open(given.weights, "pt") as file:
            known = file.metadata()
    else:
        minutes = trained(model, sources, given.steps, fixed)
        known = {"steps": str(given.steps), "minutes": f"{minutes:.1f}"}
        if given.weights:
            save_file(model.state_dict(), given.weights, known)
    row = {
        "mixtures": f"voice over {given.over}",
        "network": given.network,
        "params": sum(p.numel() for p in model.parameters()),
        "steps": int(known["steps"]),
        "processor_minutes": known.get("minutes", ""),  # not known of a training that was stopped
        **test(model.eval(), sources.mixtures("test", TESTED, seed=2), fixed),
    }
    write_results("speech_separation", [row], append=True)


@torch.no_grad()
def test(model, mixtures, fixed):
    """Improvement in dB over all mixtures; over some SDR by mir_eval, STOI and PESQ of speakers."""
    gains, voice_gains, sdr = [], [], []
    quality, judged = SpeechQuality(RATE_HZ), judged_places(len(mixtures))
    for place in range(len(mixtures)):
        mixture, voices = mixtures[place]
        found = model(mixture[None])
        order = separation(found, voices[None], fixed=fixed).order[0]
        found, untouched = found[0][order], mixture.expand_as(voices)
        each = si_snr(found, voices) - si_snr(untouched, voices)
        gains.append(each.mean().item())
        voice_gains.append(each[: len(voices) - fixed].mean().item())
        if place in judged:
            sdr.append(mir_eval_sdr(found, voices) - mir_eval_sdr(untouched, voices))
            for heard, true in list(zip(found, voices, strict=True))[: len(voices) - fixed]:
                quality.add(mixture, heard, true)
    return {
        "si_snri_db": mean(gains),
        "voice_si_snri_db": mean(voice_gains),
        "mir_eval_sdri_db": mean([each for each in sdr if each == each]),
        **{key: round(value, 3) for key, value in quality.means().items()},
    }


def mean(values):
    return round(sum(values) / len(values), 2) if values else ""


def mir_eval_sdr(found, voices):
    """SDR of mir_eval in dB, mean of the voices; nan without the package."""
    try:
        peer = import_module("mir_eval.separation")
    except ImportError:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        values = peer.bss_eval_sources(voices.numpy(), found.numpy(), compute_permutation=False)
    return float(values[0].mean())


if __name__ == "__main__":
    main()
