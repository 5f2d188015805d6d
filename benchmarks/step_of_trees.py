"""One training step with the kernels of several source trees, to compare two versions.

    python benchmarks/step_of_trees.py before=/folder after=.

Each tree's step (`training_step.py`) lives in a process of its own, and the processes take turns.
Seconds of the processor stand beside those of the clock, which other work on the machine stretches.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import write_results

STEPS = 3  # of a turn, after one that finds the caches full of another process's data


def work(options):
    """Take a turn for every line of the input."""
    import torch

    from training_step import prepare

    torch.set_num_threads(1)
    step = prepare("ours", options.model, options.batch, options.size)
    step()
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        step()
        print(json.dumps([seconds(step) for _ in range(STEPS)]), flush=True)


def seconds(call):
    clock, processor = time.perf_counter(), time.thread_time()
    call()
    return time.perf_counter() - clock, time.thread_time() - processor


def start(folder, options):
    command = [sys.executable, __file__, "--work", "--model", options.model]
    command += ["--batch", str(options.batch), "--size", str(options.size)]
    environment = os.environ | {"PYTHONPATH": str(Path(folder).resolve() / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **pipes)
    assert process.stdout.readline().strip() == "ready"
    return process


def turn(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", help="name=folder, the first to compare with")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--work", action="store_true", help="be the process of a tree")
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    processes = {}
    for tree in options.trees:
        name, _, folder = tree.partition("=")
        processes[name] = start(folder, options)
    found = {name: [] for name in processes}
    for index in range(options.rounds):
        for name in list(processes)[:: -1 if index % 2 else 1]:
            found[name] += turn(processes[name])
    first = next(iter(found.values()))
    rows = [
        {"model": options.model, "batch": options.batch, "size": options.size, "tree": name}
        | {
            f"{kind}_{what}_ms": round(of(pair[i] for pair in steps) * 1e3, 1)
            for i, kind in enumerate(("clock", "processor"))
            for what, of in (("least", min), ("median", statistics.median))
        }
        | {
            "processor_over_first": round(
                statistics.median(a[1] / b[1] for a, b in zip(steps, first, strict=True)), 3
            ),
            "rounds": options.rounds * STEPS,
        }
        for name, steps in found.items()
    ]
    write_results("step_of_trees", rows)


if __name__ == "__main__":
    main()
