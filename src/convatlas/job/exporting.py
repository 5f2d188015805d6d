"""The export of a run: written, proved on real images, and its size known beforehand."""

import os
import tempfile
from pathlib import Path

from torch import Tensor

from convatlas.data import ImageData, Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import export_onnx, prove
from convatlas.deploy.proof import Proof
from convatlas.job.config import RunConfig
from convatlas.search.space import Candidate


def export_proved(
    classifier: ImageClassifier, config: RunConfig, path: Path, sample: list[Tensor]
) -> Proof:
    """Write an ONNX file and prove it on real images before it takes its name.

    An older file of that name stays until the new one is proved.

    Raises:
        ExportError: the network has no ONNX form, or the file answers differently.
    """
    notes = {"model": config.model, "convatlas": config.version, "created": config.created}
    height, width = sample[0].shape[:2]
    fresh = path.with_name(f"{path.stem}.unproved{path.suffix}")
    export_onnx(
        classifier, fresh, example_size=(height, width), classes=config.classes, metadata=notes
    )
    proof = prove(classifier, fresh, sample)
    os.replace(fresh, path)
    return proof


def exported_bytes(candidate: Candidate, data: ImageData) -> int:
    """The size that the file will have; it does not depend on the values of the weights."""
    flat = [0.5] * data.channels
    preprocess = Preprocess(data.channels, candidate.size, flat, flat)
    if candidate.checkpoint is not None:
        preprocess = candidate.checkpoint.preprocess(data.channels, candidate.size)
    classifier = ImageClassifier(preprocess, candidate.build().eval())
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
