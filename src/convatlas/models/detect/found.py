"""The boxes of an image or a batch, as `Detector.detect` gives them."""

from typing import NamedTuple

from torch import Tensor

SURE_SCORE = 0.3  # from which a box is shown and counts as found, where nothing better is known


class Found(NamedTuple):
    """The boxes of one image, best first; those with a score of 0 are none.

    Shape: boxes float32 (d, 4) in pixels, scores float32 (d,), labels int64 (d,); of a batch with
    its axis before these
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def above(self, score: float) -> "Found":
        """Return the boxes of an image that score more."""
        kept = self.scores > score
        return Found(self.boxes[kept], self.scores[kept], self.labels[kept])
