"""How long the command takes to start, as whole processes, beside importing torch."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import write_results

ROUNDS = 7
SCRIPT = str(Path(sys.executable).with_name("convatlas"))
PROCESSES = {
    "python": [sys.executable, "-c", "pass"],
    "convatlas --help": [SCRIPT, "--help"],
    "convatlas list": [SCRIPT, "list"],
    "import convatlas": [sys.executable, "-c", "import convatlas"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import torch, convatlas": [sys.executable, "-c", "import torch, convatlas"],
}


def seconds_of(command):
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main():
    times = {name: [] for name in PROCESSES}
    for _ in range(ROUNDS + 1):  # by turns; the first round fills the file cache
        for name, command in PROCESSES.items():
            times[name].append(seconds_of(command))
    median = {name: statistics.median(each[1:]) for name, each in times.items()}
    rows = [
        {
            "process": name,
            "median_s": round(median[name], 4),
            "least_s": round(min(times[name][1:]), 4),
            "most_s": round(max(times[name][1:]), 4),
            "of_import_torch": round(median[name] / median["import torch"], 3),
            "runs": ROUNDS,
        }
        for name in PROCESSES
    ]
    write_results("startup", rows)


if __name__ == "__main__":
    main()
