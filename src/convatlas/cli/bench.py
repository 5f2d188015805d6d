"""The verb `bench`: one network's latency, throughput and memory in every runtime installed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.limits import MAX_BATCH, check_memory
from convatlas.cli.network import Shape, build_named
from convatlas.cli.numbers import seconds_option
from convatlas.cli.options import OPTIONS_HELP, shape_option
from convatlas.cli.output import note, print_json, say, table
from convatlas.errors import DataError, UsageError
from convatlas.text import format_number, shape_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from convatlas.cost import Cost
    from convatlas.deploy.runtimes import RuntimeBenchmark, RuntimeResult

COLUMNS = ("runtime", "median", "p10", "p90", "items/s", "speed", "")


@dataclass(frozen=True)
class Subject:
    """What is timed: a bare network, or a run's classifier with the file it was exported to."""

    head: Mapping[str, Any]
    model: "nn.Module"
    examples: "tuple[Tensor, ...]"
    cost: "Cost"
    onnx: Path | None = None
    note: str = "bare network, random weights, float images in, logits out"


MAX_BENCH_THREADS = max(16, 4 * (os.cpu_count() or 1))  # more only wait for each other


def bench_command(
    name: str = typer.Argument(
        help="A network's name, or the folder of a run.", metavar="NAME_OR_RUN"
    ),
    options: list[str] | None = typer.Argument(
        None, help=OPTIONS_HELP, metavar="[option=value]..."
    ),
    batch: int = typer.Option(1, min=1, max=MAX_BATCH, help="Inputs per batch."),
    threads: int | None = typer.Option(
        None,
        min=1,
        max=MAX_BENCH_THREADS,
        help="Number of CPU threads; torch's default if not given.",
    ),
    input: Any = shape_option(),
    seconds: Any = seconds_option("--seconds", default=2.0, help="How long to time each runtime."),
    compiled: bool = typer.Option(
        False, "--compile", help="Also time torch.compile, which is slow to start."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Measure latency, throughput and memory here, in every runtime installed."""
    from convatlas.deploy.runtimes import benchmark_runtimes

    subject = _subject(name, options or (), input, batch)
    note(f"{name}: timing each runtime for {format_number(seconds, 's')}, interleaved")
    result = benchmark_runtimes(
        subject.model,
        subject.examples,
        onnx=subject.onnx,
        threads=threads,
        compiled=compiled,
        seconds=seconds,
        again=note,
    )
    if as_json:
        print_json(_as_json(subject, result, batch))
    else:
        _print(subject, result, batch)


def _subject(name: str, options: Sequence[str], input: Shape | None, batch: int) -> Subject:
    if not Path(name).is_dir():
        return _named(name, options, input, batch)
    if options or input:
        raise UsageError(f"{name}: a run has its own options and input; leave them out")
    return _run(name, batch)


def _named(name: str, options: Sequence[str], input: Shape | None, batch: int) -> Subject:
    from convatlas.cost import count

    cost = build_named(name, options, input, batch=batch, shapes_only=True).try_input(count)
    check_memory(f"{name} --batch {batch}", cost.memory_bytes)
    named = build_named(name, options, input, batch=batch)
    head = {"model": name, "run": None, "options": named.options, "input": named.input}
    return Subject(head, named.model, named.examples, cost)


def _run(folder: str, batch: int) -> Subject:
    from convatlas.pipeline.run import open_run

    run = open_run(folder)
    config, predictor = run.config, run.predictor()
    if "onnx" not in run.files:
        raise DataError(
            f"{folder}: the run has no ONNX file; `convatlas export {folder}` writes it"
        )
    cost = run.cost(batch)
    check_memory(f"{folder} --batch {batch}", cost.memory_bytes)
    head = {
        "model": config.model,
        "run": str(run.path),
        "options": config.options,
        "input": list(config.input),
    }
    return Subject(
        head,
        predictor,
        predictor.example(batch),
        cost,
        run.files["onnx"],
        f"trained network with pre-processing; {predictor.usage}",
    )


def _as_json(subject: Subject, result: "RuntimeBenchmark", batch: int) -> dict[str, Any]:
    return {
        **subject.head,
        "params": subject.cost.params,
        "macs": subject.cost.macs,
        "peak_bytes": subject.cost.peak_bytes,
        "growth_bytes": result.growth_bytes,
        "latency_s": result.timed[0].to_dict()["latency_s"],
        "batch": batch,
        "threads": result.threads,
        "tries": result.tries,
        "measured": subject.note,
        "runtimes": [timed.to_dict() for timed in result.timed],
        "warnings": result.warnings,
    }


def _print(subject: Subject, result: "RuntimeBenchmark", batch: int) -> None:
    head = subject.head
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    say(
        f"{head['model']}  input {shape_text(head['input'])}  batch {batch}  {threads}  CPU float32"
    )
    say(subject.note)
    table([_row(timed) for timed in result.timed], COLUMNS, right=COLUMNS[1:-1])
    say()
    say("speed: torch eager's median over the runtime's; p10 to p90 hold the middle 80 % of runs")
    if result.warnings:
        say(
            f"unreliable: timed {result.tries} times, and p90 is still more than twice p10, as on "
            "a busy machine; close other programs and measure again, or for longer (--seconds)"
        )
    say(f"memory: {_memory(subject, result)}")


def _row(timed: "RuntimeResult") -> tuple[str | None, ...]:
    if timed.latency is None:
        return (timed.runtime, None, None, None, None, None, timed.why)
    took = timed.latency
    spread = (format_number(each, "s") for each in (took.median_s, took.p10_s, took.p90_s))
    return (
        timed.runtime,
        *spread,
        f"{took.items_per_s:,.{1 if took.items_per_s < 100 else 0}f}",
        f"{timed.speed:.2f}x" if timed.reliable else f"{timed.speed:.2f}x?",
        f"unreliable: {timed.doubt}" if timed.doubt else "",
    )


def _memory(subject: Subject, result: "RuntimeBenchmark") -> str:
    cost = subject.cost
    counted = (
        f"{format_number(cost.peak_bytes, 'bytes')} at the peak (counted), "
        f"{format_number(cost.weight_bytes, 'bytes')} of it weights"
    )
    if result.growth_bytes is None:
        return counted
    growth = format_number(result.growth_bytes, "bytes")
    return f"{counted}; the first eager run grew the process by {growth}"
