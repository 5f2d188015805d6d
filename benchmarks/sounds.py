"""What the plain command reaches on sounds: ESC-10 by its folds, spoken digits, speech or music.

Every row is one `convatlas fit`, tested on sounds of sources that it was not trained on: a fold of
ESC-10, an unseen speaker, unseen recordings. `core_s` is the processor time of the whole process,
which a busy machine does not change; what a time limit allows, it does.

Needs CONVATLAS_DATA, as `sound_sets.py` says, and the packages of weights. Rows of other cases in
`results/sounds.csv` stay. `python benchmarks/sounds.py CASE...` or `all`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import read_results, write_results
from sound_sets import data_folder, lay_out

UNTIMED = ("--max-trials", "3", "--epochs")  # no clock decides: the same on a busy machine
CASES = {  # by name: data, further words of the command
    **{
        f"esc10_fold{k}": ("esc10", ["--set", f"test_fold={k}", "--time-limit", "3m"])
        for k in range(1, 6)
    },
    **{  # from random weights: a lower bound, not what these networks reach in hours
        f"esc10_{name}_fresh": (
            "esc10",
            ["--model", name, "--pretrained", "no", "--set", "test_fold=1", "--epochs", epochs],
        )
        for name, epochs in (("esresnet", "8"), ("densenet201_audio", "20"))
    },
    "esc10_fresh": ("esc10", ["--pretrained", "no", "--max-macs", "20M", *UNTIMED, "60"]),
    "spoken_digits": ("spoken_digits", ["--max-macs", "10M", *UNTIMED, "15"]),
    "spoken_digits_public": ("spoken_digits", ["--pretrained", "yes", "--time-limit", "5m"]),
    "speech_music_noise": ("speech_music_noise", ["--max-macs", "10M", *UNTIMED, "6"]),
    "speech_music_noise_swishnet": (
        "speech_music_noise",
        ["--model", "swishnet_slim", "--epochs", "30"],
    ),
}


def main(names):
    chosen = list(CASES) if names == ["all"] else names
    for name in chosen:
        with tempfile.TemporaryDirectory() as place:
            row = measured(name, Path(place))
        kept = [row for row in read_results("sounds") if row["case"] != name]
        write_results(
            "sounds", sorted([*kept, row], key=lambda each: list(CASES).index(each["case"]))
        )


def measured(name, place):
    data, words = CASES[name]
    root = data_folder()
    source = root / data if data == "esc10" else place / data
    if data != "esc10":
        lay_out(data, root, source)
    load, start, spent = os.getloadavg()[0], time.perf_counter(), core_seconds()
    command = ["fit", source, *words, "--out", place / "run", "--json"]
    run = json.loads(
        subprocess.run(
            [sys.executable, "-m", "convatlas.cli.main", *map(str, command)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    )
    config = json.loads((place / "run" / "run.json").read_text(encoding="utf-8"))
    low, high = config["test"]["interval"]
    return {
        "case": name,
        "command": "fit " + data + " " + " ".join(words),
        "network": run["model"],
        "input": "x".join(map(str, run["input"])),
        "weights": "public" if run["weights"] else "fresh",
        "params": run["params"],
        "macs": run["macs"],
        "train_sounds": config["counts"]["train"],
        "test_sounds": config["counts"]["test"],
        "accuracy_percent": round(100 * run["accuracy"], 2),
        "low_percent": round(100 * low, 2),
        "high_percent": round(100 * high, 2),
        "onnx_agrees_percent": round(100 * config["proof"]["agreement"], 2),
        "seconds": round(time.perf_counter() - start, 1),
        "core_s": round(core_seconds() - spent, 1),
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
    }


def core_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[1:]) <= {*CASES, "all"}:
        raise SystemExit(f"{__doc__}\nCases: {', '.join(CASES)}")
    main(sys.argv[1:])
