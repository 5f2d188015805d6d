"""Images answered by ten of their parts, as papers test networks for ImageNet."""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from convatlas.deploy.classifier import ImageClassifier

CROPS = 10
SHARE = 224 / 256  # of a side that a crop has (Krizhevsky et al., NIPS 2012, section 4.1)


class TenCrops(ImageClassifier):
    """The mean of the probabilities of four corners, the middle, and all five mirrored.

    A crop has 7/8 of the image's shorter side, as 224 pixels of 256, where the network was trained
    on squares cut from images; where it was trained on whole images, 7/8 of each side.

    Args:
        classifier: that is asked about each crop; it is not changed.

    Shape: uint8 (n, h, w, channels) -> float32 (n, classes), each row sums to 1
    """

    def __init__(self, classifier: ImageClassifier):
        super().__init__(copy.deepcopy(classifier.preprocess), classifier.network)
        self.metadata = classifier.metadata
        how = self.preprocess.resize
        self.square = how.crop is not None
        self.preprocess.resize = replace(how, crop=None)  # or a crop would be cut once more

    def forward(self, image: Tensor) -> Tensor:
        _, height, width, _ = image.shape
        sides = [max(1, round(SHARE * side)) for side in (height, width)]
        if self.square:
            sides = [min(sides)] * 2
        low, right = height - sides[0], width - sides[1]
        places = [(0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)]
        answers: list[Tensor] = []
        for top, left in places:
            crop = image[:, top : top + sides[0], left : left + sides[1]]
            answers += [super(TenCrops, self).forward(each) for each in (crop, crop.flip(2))]
        return torch.stack(answers).mean(0)
