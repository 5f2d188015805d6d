"""Wide convolution of sentences of a batch that differ in length.

Wide means padded by k - 1 on both sides, so that every overlap of filter and sentence counts and a
sentence of one symbol has an answer. A sentence of s symbols becomes s + k - 1 steps, whatever the
batch is padded to.

Source: Kalchbrenner, Grefenstette, Blunsom, 2014, arXiv:1404.2188, section 3.1.
"""

from torch import Tensor, nn

from convatlas.models.symbol_input import places
from convatlas.text.symbols import PADDING


class WideConv(nn.Conv1d):
    """Convolve with k - 1 zeros on both sides.

    Shape: (n, in_channels, l) -> (n, out_channels, l + kernel - 1)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, groups: int = 1):
        super().__init__(
            in_channels, out_channels, kernel, padding=kernel - 1, groups=groups, bias=False
        )


def lengths_of(text: Tensor) -> Tensor:
    """Count the symbols of each text; one of padding alone has one. Shape: (n, l) -> (n,)"""
    return (text != PADDING).sum(1).clamp(min=1)


def present_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """Return which steps belong to a sentence. Shape: (n, c, t), (n,) -> (n, t), boolean"""
    return places(x[:, 0]) < lengths.unsqueeze(1)
