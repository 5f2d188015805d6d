"""One training step (forward, backward, SGD): torch's ways, ours, and the limit of the arithmetic.

Each way lives in a process of its own, as its settings (memory that is kept, compiled code) hold
for a process, and the ways take turns: a busy moment of the machine hits all of them. A turn is a
few steps in a row, as in training; the one before them, which finds the caches full of another
process's data, is not counted. The least time of each way is compared, which other work on the
machine disturbs least; the median stands beside.
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

from machine import write_results

STEPS = 3  # of a turn
PRODUCTS = 99  # matrix products, of which the fastest tells the speed of the arithmetic
WAYS = ("torch", "torch channels_last", "torch compiled", "ours", "ours, memory given back")


def peak_bytes():
    """The most memory this process has held; a parent's peak, which getrusage adds, left out."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def prepare(way, model_name, batch, size):
    """The step as a function without arguments."""
    import torch
    import torch.nn.functional as F

    from convatlas.kernels import fast_layers, keep_freed_memory
    from convatlas.models import create_model

    torch.manual_seed(0)
    model = create_model(model_name)
    x, y = torch.rand(batch, 3, size, size), torch.randint(0, 1000, (batch,))
    if way in ("torch channels_last", "torch compiled"):
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    if way.startswith("ours"):
        if way == "ours":
            keep_freed_memory()
        fast_layers(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    run = torch.compile(model) if way == "torch compiled" else model

    def step():
        optimizer.zero_grad()
        F.cross_entropy(run(x), y).backward()
        optimizer.step()

    return step


def work(pipe, way, model_name, batch, size):
    step = prepare(way, model_name, batch, size)
    step()
    step()
    pipe.send(None)
    while pipe.recv():
        step()
        pipe.send([_seconds(step) for _ in range(STEPS)])
    pipe.send(peak_bytes())


def by_turns(ways, model_name, batch, size, rounds):
    """Seconds of every step and the most memory held, for each way."""
    context = multiprocessing.get_context("spawn")
    pipes, seconds, memory = {}, {way: [] for way in ways}, {}
    for way in ways:
        pipes[way], end = context.Pipe()
        arguments = (end, way, model_name, batch, size)
        context.Process(target=work, args=arguments, daemon=True).start()
        pipes[way].recv()
    for _ in range(rounds):
        for way in ways:
            pipes[way].send(True)
            seconds[way] += pipes[way].recv()
    for way in ways:
        pipes[way].send(False)
        memory[way] = pipes[way].recv()
    return seconds, memory


def arithmetic_limit(model_name, batch, size):
    """Seconds for the multiply-adds of a step at the speed of a large matrix product."""
    import torch

    from convatlas.cost import count
    from convatlas.models import create_model

    macs = count(create_model(model_name), (1, 3, size, size)).macs * batch * 3
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    best = min(_seconds(lambda: a @ b) for _ in range(PRODUCTS))
    return macs / (1024**3 / best)


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rows(model_name, options):
    seconds, memory = by_turns(
        options.ways, model_name, options.batch, options.size, options.rounds
    )
    least = {way: min(times) for way, times in seconds.items()}
    peers = [way for way in options.ways if not way.startswith("ours")]
    best_peer = min(least[way] for way in peers)
    settings = {"model": model_name, "batch": options.batch, "size": options.size}
    for way in options.ways:
        yield settings | {
            "way": way,
            "least_s": round(least[way], 4),
            "median_s": round(statistics.median(seconds[way]), 4),
            "best_peer_over_this": round(best_peer / least[way], 2),
            "peak_memory_mb": memory[way] >> 20,
            "rounds": options.rounds * STEPS,
        }
    limit = arithmetic_limit(model_name, options.batch, options.size)
    yield settings | {
        "way": "arithmetic alone",
        "least_s": round(limit, 4),
        "median_s": None,
        "best_peer_over_this": round(best_peer / limit, 2),
        "peak_memory_mb": None,
        "rounds": PRODUCTS,
    }


def profile(way, model_name, options):
    """Milliseconds that a step spends in each operator itself, the longest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    step = prepare(way, model_name, options.batch, options.size)
    for _ in range(3):
        step()
    with record(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(options.rounds):
            step()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    for event in events[:12]:
        yield {
            "model": model_name,
            "batch": options.batch,
            "size": options.size,
            "way": way,
            "operator": event.key,
            "calls": event.count // options.rounds,
            "ms_a_step": round(event.self_cpu_time_total / 1e3 / options.rounds, 2),
            "rounds": options.rounds,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mobilenet_v2", "mobilenet_v1"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--name", default="training_step", help="of the file under results/")
    parser.add_argument("--profile", action="store_true", help="where our step's time goes instead")
    options = parser.parse_args()
    if options.profile:
        found = [row for model in options.models for row in profile("ours", model, options)]
        write_results(f"{options.name}_profile", found)
        return
    write_results(options.name, [row for model in options.models for row in rows(model, options)])


if __name__ == "__main__":
    main()
