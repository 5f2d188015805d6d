"""TCN: forecast series by causal dilated convolutions along time, without a graph.

The distance between the steps that a filter reads doubles from block to block, so that a few
blocks see a long history; each step of the output sees its own and earlier ones only.

Source:  Bai, Kolter, Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent
         Networks for Sequence Modeling", 2018, arXiv:1803.01271, section 3.
Differs: batch norm in place of weight norm; the next readings are read off the last step alone.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models.graphs.window_input import WindowExample, check_sizes, check_window
from convatlas.models.registry import register


class CausalConv(nn.Module):
    """Convolve along time with all padding before the first step; traceable, as the op is not.

    Shape: (n, in_channels, t) -> (n, out_channels, t)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, dilation: int):
        super().__init__()
        self.before = dilation * (kernel - 1)
        # The norm behind it has the bias.
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.before, 0)))


class CausalBlock(nn.Module):
    """Convolve causally twice, and add the input.

    Shape: (n, in_channels, t) -> (n, out_channels, t)
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, dilation: int, dropout: float
    ):
        super().__init__()
        self.first = CausalConv(in_channels, out_channels, kernel, dilation=dilation)
        self.first_norm = nn.BatchNorm1d(out_channels)
        self.second = CausalConv(out_channels, out_channels, kernel, dilation=dilation)
        self.second_norm = nn.BatchNorm1d(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.match = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv1d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.first_norm(self.first(x)).relu())
        y = self.dropout(self.second_norm(self.second(y)).relu())
        return (y + self.match(x)).relu()


class TCN(WindowExample, nn.Module):
    """Forecaster of series.

    Args:
        sensors: series that are read and forecast together.
        history: steps that it reads.
        horizon: steps that it puts out at once.
        in_channels: numbers of each series and step.
        channels: of each block.
        blocks: their dilations are 1, 2, 4 and so on.
        kernel: steps that a filter reads.
        shared: the same weights answer each series by itself; otherwise each sees all others.
        dropout: fraction of the maps set to zero, in training.
        width: multiplies `channels`.

    Shape: (n, in_channels, history, sensors) -> (n, horizon, sensors)

    Raises:
        UsageError: a size below 1, or a kernel that reads one step only.
    """

    def __init__(
        self,
        *,
        sensors: int = 8,
        history: int = 12,
        horizon: int = 1,
        in_channels: int = 1,
        channels: int = 64,
        blocks: int = 3,
        kernel: int = 3,
        shared: bool = False,
        dropout: float = 0.0,
        width: float = 1.0,
    ):
        super().__init__()
        check_sizes("TCN", sensors=sensors, history=history, horizon=horizon, blocks=blocks)
        if kernel < 2:
            raise UsageError(f"TCN: kernel must be 2 or more, got {kernel}")
        self.in_channels, self.history, self.sensors = in_channels, history, sensors
        self.horizon, self.shared = horizon, shared
        wide = max(1, round(channels * width))
        into = in_channels if shared else in_channels * sensors
        self.blocks = nn.Sequential(
            *(
                CausalBlock(
                    wide if place else into,
                    wide,
                    kernel=kernel,
                    dilation=2**place,
                    dropout=dropout,
                )
                for place in range(blocks)
            )
        )
        self.head = nn.Linear(wide, horizon if shared else horizon * sensors)

    def forward(self, x: Tensor) -> Tensor:
        check_window(x, "TCN", self.in_channels, self.history, self.sensors)
        last = self.head(self.features(x)[:, :, -1])
        if self.shared:
            return last.unflatten(0, (-1, self.sensors)).transpose(1, 2)
        return last.unflatten(1, (self.horizon, self.sensors))

    def features(self, x: Tensor) -> Tensor:
        """Return the maps of every step; none sees a later step of the input.

        Shape: (n, in_channels, t, sensors) -> (n, channels, t), or (n * sensors, channels, t)
        """
        if self.shared:
            return self.blocks(x.permute(0, 3, 1, 2).flatten(0, 1))
        return self.blocks(x.transpose(2, 3).flatten(1, 2))

    @classmethod
    def tiny(cls) -> "tuple[TCN, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(sensors=3, history=6, horizon=2, channels=6, blocks=2, kernel=2, dropout=0.1)
        return model, model.example(batch=2)


register("tcn", TCN, "forecast")
register("tcn_shared", TCN, "forecast", shared=True)
