"""How long counting takes, beside torch's own counter on the same shapes."""

import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from convatlas.atlas.build import count_registered
from convatlas.cost import count
from convatlas.models import create_model, model_names
from machine import write_results

ROUNDS = 9
PEERS = ("resnet50", "mobilenet_v2", "shufflenet_v2", "resnet110_cifar")


def seconds_of(call):
    """By the clock, and of the processor: a busy machine stretches only the first."""
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processor


def build(name):
    with torch.device("meta"):
        return create_model(name).eval()


def count_by_torch(model, inputs):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*inputs)
    return counter.get_total_flops()


def beside_torch(name):
    """Both counters by turns on the same built network."""
    model = build(name)
    with torch.device("meta"):
        inputs = model.example()
    calls = {
        "count": lambda: count(model, inputs),
        "torch FlopCounterMode": lambda: count_by_torch(model, inputs),
    }
    times = {who: [] for who in calls}
    for _ in range(ROUNDS):
        for who, call in calls.items():
            times[who].append(seconds_of(call))
    return {
        who: tuple(statistics.median(column) for column in zip(*each, strict=True))
        for who, each in times.items()
    }


def row(what, counter, seconds, peer=None):
    clock_s, cpu_s = seconds
    return {
        "what": what,
        "counter": counter,
        "median_s": round(clock_s, 4),
        "cpu_s": round(cpu_s, 4),
        "of_torchs_counter": None if peer is None else round(cpu_s / peer[1], 3),
    }


def main():
    count(build("lenet5"), (1, 1, 32, 32))  # the first model pays for what torch loads late
    first = seconds_of(lambda: count(build("resnet50"), (1, 3, 224, 224)))
    rows = [row("resnet50 at 224, built and counted once, after another model", "count", first)]
    for name in PEERS:
        medians = beside_torch(name)
        peer = medians["torch FlopCounterMode"]
        rows += [row(f"{name}, median of {ROUNDS}", who, s, peer) for who, s in medians.items()]
    everything = seconds_of(count_registered)
    what = f"all {len(model_names())} registered networks, built and counted on every core"
    rows.append(row(what, "count", everything))
    write_results("counting", rows)


if __name__ == "__main__":
    main()
