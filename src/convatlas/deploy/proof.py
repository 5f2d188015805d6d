"""The proof of an export: what the file answered beside the network, on real images."""

from typing import TYPE_CHECKING

from pydantic import BaseModel

from convatlas.errors import ConvatlasError

if TYPE_CHECKING:
    from torch import Tensor


class ExportError(ConvatlasError):
    """A network that cannot be exported, or a file that does not answer as the network does."""


class Proof(BaseModel):
    """The exported file beside the network, on real images.

    `max_difference` is the largest absolute difference of any probability. `top1_agreement` is
    the share of images with the same most probable class; where the network itself is tied
    within the tolerance, either class will do.
    """

    format: str
    samples: int
    max_difference: float
    top1_agreement: float
    tolerance: float
    runtime: str

    @property
    def holds(self) -> bool:
        """Whether the file may be used in place of the network."""
        # Written so that a difference that is not a number fails.
        return self.max_difference <= self.tolerance and self.top1_agreement == 1

    def figures(self) -> str:
        """The proof in words."""
        return (
            f"largest difference {self.max_difference:.2g} (at most {self.tolerance:.2g}), "
            f"same top-1 on {self.top1_agreement:.2%} of {self.samples:,} images, {self.runtime}"
        )


def compare(
    expected: "Tensor", answered: "Tensor", *, tolerance: float, format: str, runtime: str
) -> Proof:
    """Hold a file's probabilities against the network's.

    Shape: both (n, classes)
    """
    difference = (expected - answered).abs().max().item()
    chosen = answered.argmax(dim=1, keepdim=True)
    short = expected.max(dim=1).values - expected.gather(1, chosen)[:, 0]
    same = (answered.argmax(dim=1) == expected.argmax(dim=1)) | (short <= tolerance)
    return Proof(
        format=format,
        samples=len(expected),
        max_difference=difference,
        top1_agreement=same.double().mean().item(),
        tolerance=tolerance,
        runtime=runtime,
    )
