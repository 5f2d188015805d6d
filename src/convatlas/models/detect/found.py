"""The boxes of one image, as `Detector.detect` gives them for a batch."""

from typing import NamedTuple

from torch import Tensor


class Found(NamedTuple):
    """The boxes of one image, best first; those with a score of 0 are none.

    Shape: boxes float32 (d, 4) in pixels, scores float32 (d,), labels int64 (d,)
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def above(self, score: float) -> "Found":
        """Return the boxes that score more."""
        kept = self.scores > score
        return Found(self.boxes[kept], self.scores[kept], self.labels[kept])
