"""How to use a run again: commands and code that can be copied out of the report."""

from pathlib import Path

from convatlas.pipeline.call import call_options, train_command
from convatlas.pipeline.config import RunConfig
from convatlas.tasks import find_task
from convatlas.text import shell_word, true_name

PYTHON_CODE = """\
import convatlas as ca

run = ca.open_run({folder!r})
print(run.predict([{file!r}]))
"""


def commands(folder: Path, config: RunConfig) -> list[tuple[str, str]]:
    """Return what each command is for, and the command as a shell takes it."""
    task, run = find_task(config.task), shell_word(folder)
    source = shell_word(true_name(config.source))
    rows = [
        (task.asking, f"convatlas predict {run} {task.next}"),
        (f"Test it again on its own test {task.items}", f"convatlas evaluate {run}"),
        (f"Test it on other labelled {task.items}", f"convatlas evaluate {run} more-{task.items}/"),
        (
            "Write the ONNX file again and check it against the network",
            f"convatlas export {run} --format onnx",
        ),
        ("Measure it on another machine", f"convatlas bench {run}"),
        ("Repeat the whole job", _again(source, config)),
    ]
    return rows


def _again(source: str, config: RunConfig) -> str:
    call = config.call
    if call.get("verb") == "train":
        return train_command(source, call)
    return f"convatlas fit {source}{_limits(config)}{_start(config)}"


def _limits(config: RunConfig) -> str:
    budget = config.budget
    options = {
        "--max-params": None if budget.params is None else f"{budget.params:.12g}",
        "--max-macs": None if budget.macs is None else f"{budget.macs:.12g}",
        "--max-latency": None if budget.latency_s is None else f"{budget.latency_s * 1e3:.12g}ms",
        "--max-size": _megabytes(budget.file_bytes),
        "--max-memory": _megabytes(budget.memory_bytes),
        "--min-throughput": None if budget.throughput is None else f"{budget.throughput:.12g}",
    }
    return "".join(f" {name} {value}" for name, value in options.items() if value is not None)


def _megabytes(value: float | None) -> str | None:
    return None if value is None else f"{value / 1e6:.12g}MB"


def _start(config: RunConfig) -> str:
    """The other options that were given, and the seed; older runs noted only public weights."""
    call = config.call or ({"pretrained": True} if config.weights else {})
    if isinstance(call.get("pretrained"), bool):  # so in runs of before `auto`
        call = {**call, "pretrained": "yes" if call["pretrained"] else "no"}
    return f"{call_options(call)} --seed {config.seed}"


def python_code(folder: Path, config: RunConfig) -> str:
    """Return code that does the same through the library."""
    return PYTHON_CODE.format(folder=str(folder), file=find_task(config.task).next)
