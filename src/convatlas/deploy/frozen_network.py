"""Ask a network that no longer changes for many answers, by the fastest runtime at hand.

ONNX Runtime answers some networks more than twice as fast as torch on a CPU, and an export takes
seconds: for a few images it does not pay, for some hundreds it does.
"""

import copy
import io
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convatlas.deploy.fold_norm import fold
from convatlas.deploy.onnx_program import quiet
from convatlas.train.device import training_device

IMAGES = 4  # axes of a batch, for which torch has a second memory format
EXPORT_S = 3.0  # seconds, about, of writing and loading the program
MIN_FROZEN_GAIN = 0.5  # fraction of torch's time that the runtime is expected to save
TOLERANCE = 1e-3  # largest difference between both, as a fraction of the largest answer

Answer = Callable[[Tensor], Tensor]


class Frozen(NamedTuple):
    """What answers batches without gradients, and torch's seconds an input, as measured."""

    answer: Answer
    torch_s: float


def frozen_network(network: nn.Module, example: Tensor, count: int) -> Frozen:
    """Return what answers batches fastest.

    The network is not changed. Norms are folded. Where a program for ONNX Runtime cannot be made
    or differs from the network, torch answers.

    Args:
        example: a batch such as will be asked.
        count: how many inputs will be asked, which decides whether an export pays.
    """
    device = training_device()
    model = copy.deepcopy(network).eval()
    fold(model)
    model.to(device)
    if example.ndim == IMAGES:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub wants a device

    @torch.inference_mode()
    def by_torch(batch: Tensor) -> Tensor:
        return model(batch.to(device)).float().cpu()

    by_torch(example)
    expected, seconds = _timed(by_torch, example)
    if device.type == "cpu" and MIN_FROZEN_GAIN * seconds * count > EXPORT_S:
        found = _by_onnx_runtime(model, example, expected)
        if found is not None and found[1] < seconds:
            return Frozen(found[0], seconds)
    return Frozen(by_torch, seconds)


def _by_onnx_runtime(
    model: nn.Module, example: Tensor, expected: Tensor
) -> tuple[Answer, float] | None:
    """Return what answers and its seconds an input; None where it cannot be had or differs."""
    try:
        session = _session(model, example)

        def answer(batch: Tensor) -> Tensor:
            return torch.from_numpy(session.run(None, {"x": batch.contiguous().numpy()})[0])

        answer(example)
        answers, seconds = _timed(answer, example)
    except Exception:  # each of its stages has classes of its own
        return None
    largest = float(expected.abs().max())
    same = answers.shape == expected.shape and bool(
        ((answers - expected).abs() <= TOLERANCE * largest).all()
    )
    return (answer, seconds) if same else None


def _session(model: nn.Module, example: Tensor) -> Any:
    import onnxruntime

    program = io.BytesIO()
    # The older exporter, for it takes a fifth of the time; what it writes is thrown away.
    with quiet(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            copy.deepcopy(model).to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]  # same
            (example,),
            program,  # pyright: ignore[reportArgumentType]  this exporter takes a file, too
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    # A thread that spins while it waits takes the core from the one that it waits for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        program.getvalue(), options, providers=["CPUExecutionProvider"]
    )


def _timed(answer: Answer, batch: Tensor) -> tuple[Tensor, float]:
    start = time.perf_counter()
    answers = answer(batch)
    return answers, (time.perf_counter() - start) / len(batch)
