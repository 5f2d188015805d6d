"""Lay out public sets of sounds as `convatlas fit` takes them; nothing is downloaded.

    python benchmarks/sound_sets.py spoken_digits OUT
    python benchmarks/sound_sets.py speech_music_noise OUT

reads from the folder that CONVATLAS_DATA names:
  spoken_digits         fsdd/: six speakers; four train, one validates, one is tested.
  speech_music_noise    librispeech_mini/ (by speaker), music8k/ (by track), esc10/ (by fold): clips
                        of one second at 8 kHz, none of a source in two splits; the quiet ones,
                        below -50 dB, are left out.
"""

import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE_HZ = 8000
QUIET = 10 ** (-50 / 20)  # root mean square
SPEAKERS = {"theo": "val", "yweweler": "test"}  # the others train
VALIDATED = 6  # of this number of training sources of speech and music one validates
FOLDS = {"4": "val", "5": "test"}  # of esc10; the others train

Clip = tuple[str, str, np.ndarray]  # split, name, samples


def data_folder() -> Path:
    place = os.environ.get("CONVATLAS_DATA")
    if not place:
        raise SystemExit("CONVATLAS_DATA must name the folder that holds fsdd/, esc10/ and others")
    return Path(place)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def seconds_of(path: Path) -> Iterator[np.ndarray]:
    """Cut a file into clips of a second at 8 kHz, without the quiet ones."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(sound.mean(axis=1), rate, RATE_HZ) if rate != RATE_HZ else sound.mean(1)
    for start in range(0, len(mono) - RATE_HZ + 1, RATE_HZ):
        clip = mono[start : start + RATE_HZ]
        if float(np.sqrt((clip**2).mean())) >= QUIET:
            yield clip


def spoken_digits(data: Path) -> Iterator[tuple[str, Clip]]:
    """Every recording of the Free Spoken Digit Dataset, by digit."""
    sounds = {path.stem: soundfile.read(path, dtype="float32")[0] for path in data.glob("*.flac")}
    for row in table(data / "clips.csv"):
        start, speaker = int(row["start"]), row["speaker"]
        clip = sounds[speaker][start : start + int(row["length"])]
        yield row["digit"], (SPEAKERS.get(speaker, "train"), f"{speaker}_{row['take']}", clip)


def speech_music_noise(data: Path) -> Iterator[tuple[str, Clip]]:
    """Clips of a second of three classes."""
    for kind, folder in (("speech", "librispeech_mini"), ("music", "music8k")):
        for number, row in enumerate(table(data / folder / "meta.csv")):
            split = "val" if row["split"] == "train" and number % VALIDATED == 0 else row["split"]
            path = data / folder / "audio" / row["file"]
            for n, clip in enumerate(seconds_of(path)):
                yield kind, (split, f"{path.stem}_{n}", clip)
    for row in table(data / "esc10" / "meta.csv"):
        path = data / "esc10" / "audio" / row["file"]
        for n, clip in enumerate(seconds_of(path)):
            yield "noise", (FOLDS.get(row["fold"], "train"), f"{path.stem}_{n}", clip)


def lay_out(name: str, data: Path, out: Path) -> dict[str, int]:
    """Write the files of a set by split and class; return how many each folder holds."""
    clips = {
        "spoken_digits": lambda: spoken_digits(data / "fsdd"),
        "speech_music_noise": lambda: speech_music_noise(data),
    }
    if name not in clips:
        raise SystemExit(f"no set '{name}'; there are {', '.join(clips)}")
    counts: dict[str, int] = {}
    for label, (split, file, clip) in clips[name]():
        place = out / split / label
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{file}.wav", clip, RATE_HZ)
        counts[f"{split}/{label}"] = counts.get(f"{split}/{label}", 0) + 1
    return counts


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    for folder, count in sorted(lay_out(sys.argv[1], data_folder(), Path(sys.argv[2])).items()):
        print(f"{folder}: {count:,}")
