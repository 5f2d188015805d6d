"""DenseNet on sounds: an image network, unchanged, on three log-mel spectrograms.

Windows of 25, 50 and 100 ms give three spectrograms of the same sound, which are the three
channels of a picture. Only the last layer is new, so that weights of images are a start; several
runs of that start differ enough for the mean of their probabilities to be better than each.

Source:  Palanisamy, Singhania, Yao, "Rethinking CNN Models for Audio Classification", 2020,
         arXiv:2007.11154, section 3; sizes from the authors' code.
Claims:  claims/densenet_audio.toml
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from convatlas.models.classify.densenet import DenseNet
from convatlas.models.registry import register

SIZE = (128, 250)  # mel bands, frames of ESC-50 and UrbanSound8K; GTZAN has 1500


class ProbabilityMean(nn.Module):
    """Classify by the mean of several networks' probabilities.

    Args:
        members: classifiers of the same classes, each trained for itself.

    Shape: as each member's -> (n, num_classes), logarithms of the mean probabilities: softmax of
        them gives the mean back, as it does of a network's logits.

    Source: section 3.4 of the paper.

    Raises:
        ValueError: no members.
    """

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)
        if not len(self.members):
            raise ValueError("ProbabilityMean: there must be one member or more, got none")

    def forward(self, x: Tensor) -> Tensor:
        logs = torch.stack([member(x).log_softmax(1) for member in self.members])
        return logs.logsumexp(0) - torch.tensor(float(len(self.members))).log()


register("densenet201_audio", DenseNet, "audio", depth=201, num_classes=50, image_size=SIZE)
