"""A trained basis in place of the Fourier transform: short windows of a waveform and back.

Source: Luo, Mesgarani, "Conv-TasNet", 2019, arXiv:1809.07454, section II.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError


class LearnedBasis(nn.Module):
    """Windows of a waveform as sums of trained signals, and waveforms from such sums.

    Args:
        filters: signals of the basis.
        length: of each, in samples, an even number; one window starts each `length / 2` samples.
        relu: keep the weights of the sums at 0 and above.

    Raises:
        UsageError: an odd length.
    """

    def __init__(self, filters: int, length: int, *, relu: bool = False):
        super().__init__()
        if length < 2 or length % 2:
            raise UsageError(f"LearnedBasis: length must be an even number, got {length}")
        self.length, self.hop, self.relu = length, length // 2, relu
        self.encoder = nn.Conv1d(1, filters, length, stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(filters, 1, length, stride=self.hop, bias=False)

    def encode(self, x: Tensor) -> Tensor:
        """Return the weights of each window; zeros behind the end fill the last one.

        Shape: (n, t), t from `length` up -> (n, filters, k)
        """
        # Enough for the last window, and too little for one more: no size has to be known.
        y = self.encoder(F.pad(x, (0, self.hop - 1)).unsqueeze(1))
        return y.relu() if self.relu else y

    def decode(self, weights: Tensor, samples: int) -> Tensor:
        """Return the waveforms of several sums at once, as long as the input of `encode` was.

        Shape: (n, s, filters, k) -> (n, s, samples)
        """
        signals = self.decoder(weights.flatten(0, 1)).narrow(2, 0, samples)
        return signals.reshape(-1, weights.size(1), samples)


def masks_of(scores: Tensor, speakers: int, mask: str) -> Tensor:
    """Make one mask for each speaker out of the last layer's output.

    Args:
        mask: `sigmoid` and `relu` value by value; `softmax` shares each value among the speakers.

    Shape: (n, speakers * filters, k) -> (n, speakers, filters, k)
    """
    each = scores.unflatten(1, (speakers, -1))
    if mask == "softmax":
        return each.softmax(1)
    return each.sigmoid() if mask == "sigmoid" else torch.relu(each)
