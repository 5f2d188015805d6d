"""Several trained classifiers as one: the mean of their probabilities.

Source: Palanisamy, Singhania, Yao, 2020, arXiv:2007.11154, section 3: runs from the same weights of
    images, which differ in the last layer and the order of batches only.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError


class ProbabilityMean(nn.Module):
    """Classify by the mean of several networks' probabilities.

    Args:
        members: classifiers of the same classes, each trained for itself.

    Shape: as each member's -> (n, num_classes), logarithms of the mean probabilities: softmax of
        them gives the mean back, as it does of a network's logits.

    Raises:
        UsageError: no members.
    """

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)
        if not len(self.members):
            raise UsageError("ProbabilityMean: there must be one member or more, got none")

    def forward(self, x: Tensor) -> Tensor:
        logs = torch.stack([member(x).log_softmax(1) for member in self.members])
        return logs.logsumexp(0) - math.log(len(self.members))
