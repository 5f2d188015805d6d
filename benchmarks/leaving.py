"""How fast `convatlas train` acknowledges a signal and leaves, by what it is doing just then.

Each case is a process of its own, which gets a signal a while after a sign of what it does: a line
on standard error, or a call that is made. `acknowledged_s` and `left_s` count from the signal;
`code` is the exit code, `checkpoint` the step of the newest checkpoint there is afterwards.

    python benchmarks/leaving.py [FOLDER] [--cases scan,step,...]

FOLDER holds train/CLASS/files; `clothing` of CONVATLAS_DATA if it is not given.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import write_results

ACKNOWLEDGED = "stopping after this step"
MARK = "convatlas-benchmark-begins"
# Says when a function is called for the nth time, and does what it did.
CHILD = """
import importlib, os, sys
module, _, name = sys.argv[1].partition(":")
owner, count = importlib.import_module(module), [0]
*path, name = name.split(".")
for each in path:
    owner = getattr(owner, each)
before = getattr(owner, name)
def marked(*given, **named):
    count[0] += 1
    if count[0] == int(sys.argv[2]):
        os.write(2, b"\\nMARK\\n")
    return before(*given, **named)
setattr(owner, name, marked)
from convatlas.cli.main import main
sys.exit(main(sys.argv[3:]))
""".replace("MARK", MARK)
SMALL = ["--set", "batch_size=32"]
CASES = {  # what it does: the call that tells, how often before the signal, recipe, seconds to wait
    "scan": ("convatlas.data.images.scan:examine", 300, "mobilenet_v3_small", SMALL, 0.2),
    "cache": ("convatlas.data.images.cache:square", 300, "mobilenet_v3_small", SMALL, 0.2),
    "step": ("convatlas.train.tasks.classify:Classify.loss", 8, "mobilenet_v3_small", SMALL, 0.2),
    "slow_step": (
        "convatlas.train.tasks.classify:Classify.loss",
        3,
        "resnet50",
        ["--set", "batch_size=64"],
        0.5,
    ),
    "validation": (
        "convatlas.train.tasks.classify:Classify.validate",
        1,
        "mobilenet_v3_small",
        ["--epochs", "0.2", *SMALL],
        1.0,
    ),
    "test": (
        "convatlas.pipeline.finishing:_test",
        1,
        "mobilenet_v3_small",
        ["--epochs", "0.2", *SMALL],
        0.5,
    ),
    "export": (
        "convatlas.pipeline.finishing:export_proved",
        1,
        "mobilenet_v3_small",
        ["--epochs", "0.2", *SMALL],
        0.5,
    ),
}


def watch(stream, seen):
    """Note when each line came."""
    for line in stream:
        seen.append((time.monotonic(), line.decode(errors="replace").strip()))


def when(seen, words, process):
    """Wait for a line; return when it came, or None where the process ended before."""
    while True:
        for moment, line in list(seen):
            if words in line:
                return moment
        if process.poll() is not None:
            time.sleep(0.2)
            return next((moment for moment, line in seen if words in line), None)
        time.sleep(0.02)


def measure(case, folder, number):
    """One case with one signal, as a row."""
    call, count, recipe, options, wait_s = CASES[case]
    with tempfile.TemporaryDirectory() as place:
        out, seen = Path(place) / "run", []
        command = [sys.executable, "-c", CHILD, call, str(count), "train", recipe, str(folder)]
        process = subprocess.Popen(
            [*command, *options, "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        reader = threading.Thread(target=watch, args=(process.stderr, seen), daemon=True)
        reader.start()
        if when(seen, MARK, process) is None:
            raise SystemExit(f"{case}: ended before: {[line for _, line in seen][-3:]}")
        time.sleep(wait_s)
        sent = time.monotonic()
        process.send_signal(number)
        process.wait()
        left = time.monotonic() - sent
        reader.join(5)
        told = when(seen, ACKNOWLEDGED, process)
        steps = [int(each.name.rpartition("-")[2]) for each in Path(place).rglob("*step-0*")]
        return {
            "case": case,
            "signal": signal.Signals(number).name,
            "acknowledged_s": "" if told is None else round(told - sent, 2),
            "last_line_s": round(seen[-1][0] - sent, 2),
            "left_s": round(left, 2),
            "code": process.returncode,
            "checkpoint": max(steps, default=""),
            "load": round(os.getloadavg()[0], 1),
            "last_line": [line for _, line in seen if line][-1][:100],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--cases", default=",".join(CASES))
    asked = parser.parse_args()
    folder = asked.folder or Path(os.environ["CONVATLAS_DATA"]) / "clothing"
    rows = []
    for number, case in enumerate(asked.cases.split(",")):
        rows.append(measure(case, folder, (signal.SIGTERM, signal.SIGINT)[number % 2]))
        print(rows[-1], flush=True)
    write_results("leaving", rows)


if __name__ == "__main__":
    main()
