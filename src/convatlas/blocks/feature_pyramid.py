"""FPN: fine maps that know what coarse ones have seen, all of one width.

Source: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, arXiv:1612.03144,
    figure 3; the two further maps from Lin et al., "Focal Loss", ICCV 2017, arXiv:1708.02002,
    section 4.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks.options import check_option

COARSER = ("none", "pool", "of_input", "of_output")


class FeaturePyramid(nn.Module):
    """A 1 x 1 convolution a map, sums from coarse to fine, and a 3 x 3 on each.

    Args:
        in_channels: of the maps, finest first.
        channels: of every map that is put out.
        coarser: further maps behind the coarsest: `none`; `pool`, every second pixel of it; or two
            by 3 x 3 convolutions with stride 2, with a ReLU between them, which begin at the
            coarsest input (`of_input`, as published) or at what is made of it (`of_output`).

    Shape: list of (n, in_channels[i], h / 2 ** i, w / 2 ** i), of any rounding
        -> list of (n, channels, the same sizes), with the further ones behind them

    Cost: in_channels[i] * channels + 9 * channels ** 2 multiply-adds a pixel of map i.

    Raises:
        UsageError: coarser has no such form.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, *, coarser: str = "none"):
        super().__init__()
        check_option("FeaturePyramid", "coarser", coarser, COARSER)
        self.coarser = coarser
        self.lateral = nn.ModuleList(nn.Conv2d(each, channels, 1) for each in in_channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
        )
        convs: list[nn.Module] = []
        if coarser in ("of_input", "of_output"):
            start = in_channels[-1] if coarser == "of_input" else channels
            convs = [
                nn.Conv2d(each, channels, 3, stride=2, padding=1) for each in (start, channels)
            ]
        self.further = nn.ModuleList(convs)
        for conv in (*self.lateral, *self.smooth, *convs):
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_uniform_(conv.weight, a=1)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            finer = merged[i]
            above = F.interpolate(merged[i + 1], [finer.shape[2], finer.shape[3]])
            merged[i] = torch.add(finer, above)
        out = [conv(x) for conv, x in zip(self.smooth, merged, strict=True)]
        if self.coarser == "pool":
            out.append(F.max_pool2d(out[-1], 1, stride=2))
        x = maps[-1] if self.coarser == "of_input" else out[-1]
        for i, conv in enumerate(self.further):
            x = conv(x if i == 0 else x.relu())
            out.append(x)
        return out
