"""One network in every runtime installed here, timed in turns."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.cost.eval_mode import evaluating
from convatlas.cost.interleaved import TIMES_P10, spread, spread_text, time_steadily
from convatlas.cost.latency import Latency, limited_threads, summarise
from convatlas.cost.memory import measure_growth
from convatlas.deploy.lean_exporter import lean_exporter
from convatlas.deploy.onnx_program import quiet
from convatlas.deploy.onnx_session import open_session, reason, unreadable
from convatlas.errors import ExportError
from convatlas.text import utf8_path

EAGER = "torch eager"
Call = Callable[[], Any]


@dataclass(frozen=True)
class RuntimeResult:
    """One runtime: how long it took, or why it was not timed.

    `speed` is torch eager's median over this one's: above 1 is faster than eager. `doubt` says why
    that ratio is not to be relied on: a p90 above twice its p10, here or in torch eager.
    """

    runtime: str
    latency: Latency | None = None
    speed: float | None = None
    why: str | None = None
    doubt: str | None = None

    @property
    def reliable(self) -> bool | None:
        """Whether the speed can be relied on; None where nothing was timed."""
        return None if self.latency is None else self.doubt is None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields flat, with `latency_s` for the median."""
        measured = asdict(self.latency) if self.latency else {}
        return {
            "runtime": self.runtime,
            "latency_s": measured.get("median_s"),
            "p10_s": measured.get("p10_s"),
            "p90_s": measured.get("p90_s"),
            "items_per_s": self.latency.items_per_s if self.latency else None,
            "runs": measured.get("runs"),
            "speed": self.speed,
            "reliable": self.reliable,
            "doubt": self.doubt,
            "why": self.why,
        }


@dataclass(frozen=True)
class RuntimeBenchmark:
    """Every runtime's time, and by how much the first eager run grew the process.

    `tries` says how often all were timed until none varied too much, or until it was given up.
    """

    timed: tuple[RuntimeResult, ...]
    growth_bytes: int | None
    threads: int
    tries: int = 1

    @property
    def warnings(self) -> list[str]:
        """A line for every speed that is not to be relied on."""
        return [
            f"{each.runtime}: speed unreliable, {each.doubt}" for each in self.timed if each.doubt
        ]


def benchmark_runtimes(
    model: nn.Module,
    inputs: Sequence[Tensor],
    *,
    onnx: Path | None = None,
    threads: int | None = None,
    compiled: bool = False,
    seconds: float = 2.0,
    again: Callable[[str], None] = lambda line: None,
) -> RuntimeBenchmark:
    """Time torch (eager, channels last, compiled), ONNX Runtime and OpenVINO by turns on the CPU.

    Args:
        inputs: example tensors; their first axis is the batch.
        onnx: a file that holds the same network; without it one is exported for the benchmark.
        threads: for every runtime alike; None means torch's own number.
        compiled: also time `torch.compile`, which takes a while to compile.
        seconds: of timing for each runtime, in each of up to three tries: all are timed again
            while the p90 of one is above twice its p10.
        again: takes a line before each further try.

    Raises:
        ExportError: the network has no ONNX form, or `onnx` is damaged or takes other inputs.
    """
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(limited_threads(threads))
        stack.enter_context(torch.inference_mode())
        used = torch.get_num_threads()
        growth = measure_growth(lambda: model(*inputs))
        calls, absent = _torch_calls(model, inputs, compiled)
        file = onnx
        if file is None:
            file = Path(stack.enter_context(TemporaryDirectory())) / "model.onnx"
            export_plain(model, inputs, file)
        for name, prepare in _FILE_RUNTIMES.items():
            try:
                calls[name] = _tried(prepare(file, inputs, used))
            except ModuleNotFoundError as error:
                absent[name] = f"not installed: pip install {error.name}"
            except Exception as error:  # each runtime has its own classes
                if onnx is None:
                    absent[name] = f"does not run the exported network: {reason(error)}"
                elif isinstance(error, ExportError):
                    raise
                else:
                    raise ExportError(unreadable(onnx, name, error)) from error
        turns = time_steadily(calls, seconds=seconds, again=again)
    timed = _rank(turns.times, absent, threads=used, batch=inputs[0].shape[0])
    return RuntimeBenchmark(timed, growth, used, turns.tries)


def export_plain(model: nn.Module, inputs: Sequence[Tensor], path: Path) -> None:
    """Write the bare network as ONNX at fixed sizes: float images in, logits out.

    Raises:
        ExportError: the network has no ONNX form.
    """
    # The exporter traces with autograd's machinery, which inference tensors do not pass.
    with torch.inference_mode(False), torch.no_grad(), quiet(), lean_exporter():
        examples = tuple(x.clone() for x in inputs)
        try:
            torch.onnx.export(
                model, examples, path, dynamo=True, external_data=False, verbose=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = str(error.__cause__ or error).strip().splitlines()[0]
            raise ExportError(f"{type(model).__name__}: has no ONNX form: {cause}") from error


def _torch_calls(
    model: nn.Module, inputs: Sequence[Tensor], compiled: bool
) -> tuple[dict[str, Call], dict[str, str]]:
    calls: dict[str, Call] = {EAGER: lambda: model(*inputs)}
    absent: dict[str, str] = {}
    if inputs[0].is_floating_point() and inputs[0].ndim == 4:
        calls["torch channels_last"] = _channels_last(model, inputs)
    if not compiled:
        absent["torch.compile"] = "not asked for: --compile"
        return calls, absent
    try:
        calls["torch.compile"] = _compiled(model, inputs)
    except Exception as error:  # no C++ compiler, or one of the compiler's many own errors
        absent["torch.compile"] = f"does not compile here: {str(error).strip().splitlines()[0]}"
    return calls, absent


def _channels_last(model: nn.Module, inputs: Sequence[Tensor]) -> Call:
    import copy

    with torch.inference_mode(False):
        turned = copy.deepcopy(model).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub leaves this form out
    images = [x.contiguous(memory_format=torch.channels_last) for x in inputs]
    return lambda: turned(*images)


def _compiled(model: nn.Module, inputs: Sequence[Tensor]) -> Call:
    with quiet():
        program = torch.compile(model)
        program(*inputs)
    return lambda: program(*inputs)


def _tried(call: Call) -> Call:
    """The call, once it ran: a file of another network fails here and not among the timings."""
    call()
    return call


def _onnx_runtime(path: Path, inputs: Sequence[Tensor], threads: int) -> Call:
    session = open_session(path, threads=threads)
    names = [node.name for node in session.get_inputs()]
    feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feed)


def _openvino(path: Path, inputs: Sequence[Tensor], threads: int) -> Call:
    import openvino  # pyright: ignore[reportMissingImports]  timed where installed, never needed

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    # Full precision like the others: on some machines its default is half.
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    with utf8_path(path) as readable:
        program = openvino.Core().compile_model(readable, "CPU", settings)
    request = program.create_infer_request()
    arrays = [x.numpy() for x in inputs]
    return lambda: request.infer(arrays)


_FILE_RUNTIMES: Mapping[str, Callable[[Path, Sequence[Tensor], int], Call]] = {
    "ONNX Runtime": _onnx_runtime,
    "OpenVINO": _openvino,
}


def _rank(
    times: Mapping[str, list[float]],
    absent: Mapping[str, str],
    *,
    threads: int,
    batch: int,
) -> tuple[RuntimeResult, ...]:
    latencies = {
        name: summarise(each, threads=threads, batch=batch, device="cpu")
        for name, each in times.items()
    }
    eager = latencies[EAGER].median_s
    timed = [
        RuntimeResult(name, each, eager / each.median_s, doubt=_doubt(name, times))
        for name, each in latencies.items()
    ]
    return (*timed, *(RuntimeResult(name, why=why) for name, why in absent.items()))


def _doubt(name: str, times: Mapping[str, list[float]]) -> str | None:
    """Why the ratio of eager's median to this one's says little, if so."""
    if (own := spread(times[name])) > TIMES_P10:
        return spread_text(own)
    if (eager := spread(times[EAGER])) > TIMES_P10:
        return f"{EAGER}'s {spread_text(eager)}"
    return None
