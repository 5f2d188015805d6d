"""An ONNX file opened in ONNX Runtime; what it cannot read is said in one sentence."""

from pathlib import Path
from typing import Any

from convatlas.errors import ExportError
from convatlas.text import printable, utf8_path


def open_session(path: str | Path, *, threads: int) -> Any:
    """Open the file as a session of ONNX Runtime on the CPU.

    Raises:
        ExportError: the file is missing, damaged or no ONNX file.
    """
    import onnxruntime

    if not Path(path).is_file():
        raise ExportError(f"{printable(path)}: no such file; `convatlas export` writes one")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what matters comes as an exception; the rest is its own lines
    try:
        with utf8_path(path) as readable:
            # A fallback to the same processor would only print lines of its own.
            return onnxruntime.InferenceSession(
                readable, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
    except Exception as error:  # the runtime has a class for each cause and none is public
        raise ExportError(unreadable(path, "ONNX Runtime", error)) from error


def unreadable(path: str | Path, runtime: str, error: Exception) -> str:
    """Write one sentence that names the file, the runtime and its reason."""
    return (
        f"{printable(path)}: damaged, or not a file that {runtime} reads ({reason(error)}); "
        "`convatlas export` writes it again"
    )


def reason(error: Exception) -> str:
    """Return the useful part of a runtime's message: its kind of failure, no codes and paths."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if lines[0].startswith("[ONNXRuntimeError]"):  # [ONNXRuntimeError] : 7 : KIND : text
        parts = lines[0].split(" : ", 3)
        return parts[2].replace("_", " ").lower() if len(parts) > 2 else lines[0]
    return lines[0]
