"""One ONNX file: inputs as they lie in files in, answers out, what they mean inside; written, run.

The file needs nothing of this package: pre-processing is part of it, and any ONNX runtime reads
what the answers mean from its metadata.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convatlas.deploy.onnx_program import to_onnx
from convatlas.deploy.onnx_session import open_session, unreadable
from convatlas.deploy.predictor import Item, Predictor, answer_by_size
from convatlas.errors import ExportError
from convatlas.replacing import replacing

MAX_FILE_BYTES = 2 * 1024**3  # a protobuf message holds less than this


def export_onnx(predictor: Predictor, path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Write a predictor as a single file; it appears under its name only when it is sound.

    Args:
        metadata: notes for the file beside the predictor's own, such as model and version.

    Raises:
        ExportError: the network has no ONNX form, or is above 2 GB.
        WriteError: the file cannot be written.
    """
    import onnx

    model = to_onnx(predictor)
    onnx.helper.set_model_props(model, {**metadata, **predictor.metadata})
    if model.ByteSize() >= MAX_FILE_BYTES:
        raise ExportError(f"{path}: an ONNX file must be below 2 GB, got {model.ByteSize():,}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path}: not a sound ONNX model: {error}") from error
    with replacing(Path(path)) as fresh:
        fresh.write_bytes(model.SerializeToString())


class OnnxFile:
    """An exported predictor, run by ONNX Runtime on the CPU.

    Args:
        path: the file.
        threads: how many threads it may use; torch's own number where not given.

    Attributes:
        metadata: what the file says of itself.
        inputs: the names of its inputs; `outputs` are those of its outputs.

    Raises:
        ExportError: the file is missing, is no ONNX file or was not exported here.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        import onnxruntime

        self.path = path
        self.session = open_session(path, threads=threads or torch.get_num_threads())
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}, CPU"
        try:
            self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        except ValueError as error:  # bytes that are no letters
            raise ExportError(unreadable(path, "ONNX Runtime", error)) from error
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    @property
    def classes(self) -> list[str]:
        """The names of the classes that a classifier answers with.

        Raises:
            ExportError: the file names none.
        """
        try:
            classes = json.loads(self.metadata.get("classes", "null"))
        except ValueError as error:
            raise ExportError(unreadable(self.path, "ONNX Runtime", error)) from error
        if not isinstance(classes, list):
            raise ExportError(f"{self.path}: must name its classes in the metadata, got none")
        return classes

    def run(self, *batches: Tensor) -> Any:
        """Call the runtime once: a tensor for each input; the one answer, or a tuple of them."""
        feed = {
            name: batch.contiguous().numpy()
            for name, batch in zip(self.inputs, batches, strict=True)
        }
        answers = tuple(map(torch.from_numpy, self.session.run(self.outputs, feed)))
        return answers[0] if len(answers) == 1 else answers

    def predict(self, items: Sequence[Item]) -> Tensor:
        """Answer inputs of any sizes, in their order, where there is one output.

        Shape: each as the file takes it, without the batch
        """
        return answer_by_size(items, self.run)


def run_onnx(path: str | Path, items: Sequence[Item]) -> Tensor:
    """Load a file and ask it once; keep an `OnnxFile` to ask again.

    Shape: each as the file takes it, without the batch
    """
    return OnnxFile(path).predict(items)
