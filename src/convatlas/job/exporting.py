"""The export as a step of a run: written, proved on real images, its size taken down."""

import tempfile
from pathlib import Path

from torch import Tensor

from convatlas.data import ImageData, Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import export_onnx, prove
from convatlas.deploy.proof import Proof
from convatlas.job.config import FILE_NAMES, RunConfig
from convatlas.progress import Progress
from convatlas.search.space import Candidate


def export_run(
    classifier: ImageClassifier,
    config: RunConfig,
    folder: Path,
    sample: list[Tensor],
    progress: Progress,
) -> tuple[Proof, int]:
    """Write `model.onnx` and prove it on real images; the proof and the size in bytes.

    Raises:
        ExportError: the network has no ONNX form, or the file answers differently.
    """
    bar = progress.bar("exporting to ONNX")
    path = folder / FILE_NAMES["onnx"]
    notes = {"model": config.model, "convatlas": config.version, "created": config.created}
    height, width = sample[0].shape[:2]
    export_onnx(
        classifier, path, example_size=(height, width), classes=config.classes, metadata=notes
    )
    proof = prove(classifier, path, sample)
    bar.close()
    progress.say(f"export: {proof.figures()}")
    return proof, path.stat().st_size


def exported_bytes(candidate: Candidate, data: ImageData) -> int:
    """The size that the file will have; it does not depend on the values of the weights."""
    flat = [0.5] * data.channels
    classifier = ImageClassifier(
        Preprocess(data.channels, candidate.size, flat, flat), candidate.build().eval()
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(
            classifier,
            path,
            example_size=(data.height, data.width),
            classes=data.classes,
            metadata={},
        )
        return path.stat().st_size
