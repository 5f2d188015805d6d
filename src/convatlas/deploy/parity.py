"""Parity of an export: what the file answered beside the network, on real inputs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, model_validator

from convatlas.errors import ExportError

if TYPE_CHECKING:
    from convatlas.deploy.predictor import Item, Predictor

TOLERANCE = 1e-4  # the largest difference of a number that rounding may cause


class Parity(BaseModel):
    """The exported file beside the network, on real inputs.

    `max_difference` is the largest absolute difference of any number that they answer, `agreement`
    the share of inputs on which both decide the same, `decision` what that means, `items` what an
    input is called.
    """

    format: str
    samples: int
    max_difference: float
    agreement: float
    tolerance: float
    runtime: str
    decision: str = "same top-1"  # older runs knew images and classes only
    items: str = "images"

    @model_validator(mode="before")
    @classmethod
    def _of_older_runs(cls, stored: Any) -> Any:
        if isinstance(stored, dict) and "top1_agreement" in stored:
            stored = {"agreement": stored["top1_agreement"]} | stored
            del stored["top1_agreement"]
        return stored

    @property
    def passed(self) -> bool:
        """Whether the file may be used in place of the network."""
        # Written so that a difference that is not a number fails.
        return self.max_difference <= self.tolerance and self.agreement == 1

    def figures(self) -> str:
        """Return all of it in words."""
        return (
            f"{self.decision} on {self.agreement:.2%} of {self.samples:,} {self.items}, "
            f"largest difference {self.max_difference:.2g} (allowed {self.tolerance:.2g}), "
            f"{self.runtime}"
        )


def check_parity(
    predictor: "Predictor",
    path: str | Path,
    items: "Sequence[Item]",
    *,
    tolerance: float = TOLERANCE,
    name: Path | None = None,
) -> Parity:
    """Ask network and file about real inputs at their original sizes.

    A file that fails is renamed to end in `.failed`, so that it is not used by mistake.

    Args:
        items: as the predictor takes them, each without the batch.
        tolerance: the largest difference that rounding may cause.
        name: what the file will be called; `path` where not given.

    Raises:
        ExportError: the answers differ; the message holds the figures.
    """
    from convatlas.deploy.onnx_file import OnnxFile

    file, path = OnnxFile(path), Path(path)
    agreement = predictor.compare(
        predictor.predict(items), predictor.answers(items, file.run), tolerance
    )
    parity = Parity(
        format="onnx",
        samples=len(items),
        max_difference=agreement.difference,
        agreement=agreement.share,
        tolerance=tolerance,
        runtime=file.runtime,
        decision=predictor.decision,
        items=predictor.items,
    )
    if not parity.passed:
        name = name or path
        failed = name.with_name(name.name + ".failed")
        os.replace(path, failed)
        raise ExportError(
            f"{name}: must answer as the network does, got {parity.figures()}; "
            f"the file is kept as {failed.name}"
        )
    return parity
