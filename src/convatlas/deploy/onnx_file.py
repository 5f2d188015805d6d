"""One ONNX file: image in, probabilities out, class names inside; written, proved and run.

The file needs nothing of this package: pre-processing is part of it, and any ONNX runtime reads
the class names from its metadata.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from convatlas.deploy.classifier import ImageClassifier, answer_by_size
from convatlas.deploy.onnx_program import INPUT, OUTPUT, to_onnx
from convatlas.deploy.onnx_session import open_session, unreadable
from convatlas.deploy.proof import ExportError, Proof, compare
from convatlas.replacing import replacing

LARGEST_BYTES = 2 * 1024**3  # of a protobuf message
CLASSES = "classes"


def export_onnx(
    classifier: ImageClassifier,
    path: str | Path,
    *,
    example_size: tuple[int, int],
    classes: Sequence[str],
    metadata: Mapping[str, str],
) -> None:
    """Write the classifier as a single file; it appears under its name only when it is sound.

    Args:
        example_size: height and width of a typical image; the file takes any.
        classes: names of the outputs, stored as JSON under `classes`.
        metadata: further notes for the file, such as model and version.

    Raises:
        ExportError: the network has no ONNX form, or is above 2 GB.
        WriteError: the file cannot be written.
    """
    import onnx

    model = to_onnx(classifier, example_size=example_size)
    notes = {**metadata, CLASSES: json.dumps(list(classes), ensure_ascii=False)}
    onnx.helper.set_model_props(model, notes)
    if model.ByteSize() >= LARGEST_BYTES:
        raise ExportError(f"{path}: an ONNX file must be below 2 GB, got {model.ByteSize():,}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path}: not a sound ONNX model: {error}") from error
    with replacing(Path(path)) as fresh:
        fresh.write_bytes(model.SerializeToString())


class OnnxFile:
    """An exported classifier, run by ONNX Runtime on the CPU.

    Args:
        path: the file.
        threads: how many threads it may use; torch's own number where not given.

    Raises:
        ExportError: the file is missing, is no ONNX file or was not exported here.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        import onnxruntime

        self.session = open_session(path, threads=threads or torch.get_num_threads())
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}, CPU"
        try:
            self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
            classes = json.loads(self.metadata.get(CLASSES, "null"))
        except ValueError as error:  # bytes that are no letters, or no JSON
            raise ExportError(unreadable(path, "ONNX Runtime", error)) from error
        if not isinstance(classes, list):
            raise ExportError(f"{path}: must name its classes in the metadata, got none")
        self.classes: list[str] = classes

    def predict(self, images: Sequence[Tensor]) -> Tensor:
        """Probabilities of images of any sizes, in their order.

        Shape: each uint8 (h, w, channels) -> (n, classes)
        """
        return answer_by_size(images, self.answer)

    def answer(self, batch: Tensor) -> Tensor:
        """One call of the runtime. Shape: uint8 (n, h, w, channels) -> (n, classes)"""
        (answered,) = self.session.run([OUTPUT], {INPUT: batch.contiguous().numpy()})
        return torch.from_numpy(answered)


def run_onnx(path: str | Path, images: Sequence[Tensor]) -> Tensor:
    """Load a file and ask it once; keep an `OnnxFile` to ask again.

    Shape: each uint8 (h, w, channels) -> (n, classes)
    """
    return OnnxFile(path).predict(images)


def prove(
    classifier: ImageClassifier,
    path: str | Path,
    images: Sequence[Tensor],
    *,
    tolerance: float = 1e-4,
    name: Path | None = None,
) -> Proof:
    """Ask network and file about real images at their original sizes.

    A file that fails is renamed to end in `.failed`, so that nobody uses it by mistake.

    Args:
        images: uint8 (h, w, channels) each, as read from their files.
        tolerance: the largest difference of a probability that rounding may cause.
        name: what the file will be called; `path` where not given.

    Raises:
        ExportError: the answers differ; the message holds the figures.
    """
    file, path = OnnxFile(path), Path(path)
    proof = compare(
        classifier.predict(images),
        file.predict(images),
        tolerance=tolerance,
        format="onnx",
        runtime=file.runtime,
    )
    if not proof.holds:
        name = name or path
        failed = name.with_name(name.name + ".failed")
        os.replace(path, failed)
        raise ExportError(
            f"{name}: must answer as the network does, got {proof.figures()}; "
            f"the file is kept as {failed.name}"
        )
    return proof
