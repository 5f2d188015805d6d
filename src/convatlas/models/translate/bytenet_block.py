"""ByteNet's residual blocks: 1 x 1 to half the channels, a dilated filter, 1 x 1 back.

Source: Kalchbrenner et al., "Neural Machine Translation in Linear Time", 2016, arXiv:1610.10099,
        section 3 and figure 3; van den Oord et al. for multiplicative units ("Video Pixel
        Networks", arXiv:1610.00527, section 3).
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.translate.time_conv import Past, TimeConv
from convatlas.ops.layer_norms import ChannelLayerNorm

FORMS = ("relu", "multiplicative")


class NormedConv(nn.Module):
    """A norm over the channels of each position, ReLU, then a convolution without bias.

    Shape: (n, in_channels, l) -> (n, out_channels, l)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        dilation: int = 1,
        causal: bool = False,
    ):
        super().__init__()
        self.norm = ChannelLayerNorm(in_channels)
        # A filter of one step keeps nothing, so that it need not be known as causal.
        self.conv = TimeConv(
            in_channels, out_channels, kernel, dilation=dilation, causal=causal and kernel > 1
        )

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        y = self.norm(x).relu()
        if present is not None:
            y = y * present
        return self.conv(y, past if self.conv.causal else None)


class MultiplicativeUnit(nn.Module):
    """Gate the input as an LSTM gates its memory: g1 tanh(g2 x + g3 u), all four from one filter.

    Shape: (n, channels, l) -> (n, channels, l)
    """

    def __init__(self, channels: int, kernel: int, *, dilation: int, causal: bool):
        super().__init__()
        self.conv = TimeConv(channels, 4 * channels, kernel, dilation=dilation, causal=causal)
        self.bias = nn.Parameter(torch.zeros(4 * channels, 1))

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        if present is not None:
            x = x * present
        first, second, third, update = torch.chunk(self.conv(x, past) + self.bias, 4, dim=1)
        kept = second.sigmoid() * x + third.sigmoid() * update.tanh()
        return first.sigmoid() * kept.tanh()


class ByteNetBlock(nn.Module):
    """Halve the channels, filter, double them, and add the input.

    Args:
        hidden: d; the block reads and returns 2 d channels.
        form: the filter stands behind a norm and ReLU (`relu`) or in a multiplicative unit.

    Shape: (n, 2 hidden, l) -> (n, 2 hidden, l)

    Cost: (4 + k) hidden^2 multiply-adds a position, (4 + 4 k) hidden^2 with a unit's four filters.
    """

    def __init__(
        self, hidden: int, kernel: int, *, dilation: int, causal: bool, form: str = "relu"
    ):
        super().__init__()
        check_option("ByteNetBlock", "form", form, FORMS)
        self.narrow = NormedConv(2 * hidden, hidden)
        self.filter = (
            NormedConv(hidden, hidden, kernel, dilation=dilation, causal=causal)
            if form == "relu"
            else MultiplicativeUnit(hidden, kernel, dilation=dilation, causal=causal)
        )
        self.widen = NormedConv(hidden, 2 * hidden)

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        return x + self.widen(self.filter(self.narrow(x), present, past))


class ByteNetStack(nn.Module):
    """Blocks whose dilation doubles from one to the next and begins again in each set.

    Args:
        channels: 2 d, even.
        sets: of blocks.
        dilations: of the blocks of a set.

    Shape: (n, channels, l) -> (n, channels, l)
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        *,
        sets: int,
        dilations: tuple[int, ...],
        causal: bool,
        form: str = "relu",
    ):
        super().__init__()
        self.blocks = nn.ModuleList(
            ByteNetBlock(channels // 2, kernel, dilation=dilation, causal=causal, form=form)
            for _ in range(sets)
            for dilation in dilations
        )

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, present, past)
        return x


class SymbolScores(nn.Module):
    """ReLU, 1 x 1, ReLU, 1 x 1 to the vocabulary.

    Args:
        dropout: fraction of the last ReLU's output set to zero, in training.

    Shape: (n, channels, l) -> (n, l, symbols) logits
    """

    def __init__(self, channels: int, symbols: int, *, dropout: float):
        super().__init__()
        self.hidden = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv1d(channels, symbols, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.hidden(x.relu()).relu())
        return self.last(y).transpose(1, 2)
