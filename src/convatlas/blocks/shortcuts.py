"""The ways around a residual unit that He et al. compare.

Source: He et al., "Deep Residual Learning", CVPR 2016, arXiv:1512.03385, section 3.3 and table 3.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks.conv_norm_act import ConvNormAct

SHORTCUTS = ("A", "B", "C", "none")


class ShortcutA(nn.Module):
    """The input itself: every stride-th pixel, new channels zero, half before and half after.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        extra = out_channels - in_channels
        self.pad = (0, 0, 0, 0, extra // 2, extra - extra // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


def new_shortcut(
    in_channels: int, out_channels: int, *, stride: int, option: str = "B"
) -> nn.Module | None:
    """Build the way around a unit.

    Args:
        option: `A` has no weights anywhere; `B` projects where the shape changes and is the input
            itself elsewhere; `C` projects everywhere; `none` makes the network a plain one.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """
    if option == "none":
        return None
    changes = stride > 1 or in_channels != out_channels
    if option == "C" or (option == "B" and changes):
        return ConvNormAct(in_channels, out_channels, 1, stride=stride, act=None)
    return ShortcutA(in_channels, out_channels, stride) if changes else nn.Identity()
