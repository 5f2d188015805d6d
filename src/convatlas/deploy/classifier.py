"""From an image as any library gives it to probabilities of classes."""

import json
from collections.abc import Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.class_agreement import compare_probabilities
from convatlas.deploy.predictor import Agreement, Predictor

CLASSES = "classes"  # in the metadata of an exported file: their names as JSON


class ImageClassifier(Predictor):
    """Pre-processing, network and softmax as one module.

    Evaluation, prediction and export all use this one, so none can prepare images otherwise.

    Args:
        preprocess: uint8 images to the network's input.
        network: its logits become the probabilities.
        classes: names of the outputs, for the exported file.
        usual: height and width of a usual image; the network's own input where not given.

    Shape: uint8 (n, h, w, channels) -> float32 (n, classes), each row sums to 1
    """

    inputs = MappingProxyType({"image": {0: "n", 1: "h", 2: "w"}})
    outputs = ("probabilities",)
    items = "images"
    decision = "same top-1"
    usage = "input `image`: uint8 (n, height, width, channels), any size; output `probabilities`"

    def __init__(
        self,
        preprocess: Preprocess,
        network: nn.Module,
        classes: Sequence[str] = (),
        usual: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.preprocess = preprocess
        self.network = network
        self.metadata = {CLASSES: json.dumps(list(classes), ensure_ascii=False)}
        self._usual = usual or (preprocess.size, preprocess.size)

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.network(self.preprocess(image)).float(), dim=1)

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random images of the usual size, not quite square. Shape: uint8 (n, h, w, c)"""
        height, width = (max(2, side) for side in self._usual)
        width += height == width  # an exporter takes equal sides for one and the same side
        shape = (batch, height, width, self.preprocess.channels)
        return (torch.randint(0, 256, shape, dtype=torch.uint8),)

    def compare(self, expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
        """Compare probabilities and the most probable class. Shape: both (n, classes)"""
        return compare_probabilities(expected, answered, tolerance)
