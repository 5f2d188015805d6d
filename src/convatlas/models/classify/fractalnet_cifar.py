"""FractalNet for CIFAR and SVHN: five fractal blocks that end in a single pixel.

Source:  Larsson, Maire, Shakhnarovich, ICLR 2017, arXiv:1605.07648, section 4, tables 1 and 3.
Claims:  claims/fractalnet.toml
Differs: the 40-layer form has 3 x 3 convolutions only: the paper does not say which of them are
         1 x 1; columns that global drop-path leaves out are not run, so that their norms take no
         statistics from such a batch.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import check_image, round_channels
from convatlas.errors import UsageError
from convatlas.models.classify.fractalnet import (
    FractalBlock,
    check_paths,
    draw_xavier,
    run_blocks,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

GROWTH = (1, 2, 4, 8, 8)  # channels of the five blocks, in those of the first
NARROW = 16  # first channels of the depth study
STUDY = (1, 2, 3, 4, 5, 6)  # table 3: columns


class FractalNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        columns: of each block; depth is 5 * 2 ** (columns - 1).
        first_channels: of the first block; the next have 2, 4, 8 and 8 times as many.
        thin_columns: give each column half of the channels of the one before it, as the 40-layer
            form does; 1 x 1 convolutions widen the thin ones before joins.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values zeroed after each convolution of the last block in training;
            0 in the first, in equal steps between.
        drop_path: chance that a join leaves out one of its columns in training; 0 switches all
            drop-path off.
        global_share: chance that a batch runs through one column only in training.
        column: in evaluation, run this column alone, 0 the shallowest; None runs all.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 32 pixels up.
    """

    min_size: Final = 32

    def __init__(
        self,
        *,
        columns: int = 3,
        first_channels: int = 64,
        thin_columns: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.4,
        drop_path: float = 0.15,
        global_share: float = 0.5,
        column: int | None = None,
    ):
        super().__init__()
        rates = {"drop_path": drop_path, "global_share": global_share}
        check_paths("FractalNetCifar", columns=columns, column=column, **rates)
        if first_channels < 1:
            raise UsageError(
                f"FractalNetCifar: first_channels must be from 1 up, got {first_channels}"
            )
        self.in_channels, self.columns, self.column = in_channels, columns, column
        self.global_share = global_share if drop_path > 0 else 0.0
        channels = in_channels
        blocks = []
        for index, times in enumerate(GROWTH):
            thin = [2**c if thin_columns else 1 for c in range(columns)]
            widths = [round_channels(first_channels * times * width / t, 4) for t in thin]
            rate = dropout * index / (len(GROWTH) - 1)
            blocks.append(FractalBlock(channels, widths, dropout=rate, drop_path=drop_path))
            channels = max(widths)
        self.stages = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, num_classes)
        draw_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "FractalNetCifar", channels=self.in_channels, min_size=self.min_size)
        how = {"columns": self.columns, "column": self.column, "global_share": self.global_share}
        # One pixel is left of 32; of larger images the mean.
        return self.classifier(run_blocks(self.stages, x, **how).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(columns=2, first_channels=8, dropout=0.0, drop_path=0.0)


register("fractalnet20_cifar", FractalNetCifar, "classify")
register(
    "fractalnet40_cifar",
    FractalNetCifar,
    "classify",
    columns=4,
    first_channels=128,
    thin_columns=True,
)
for _columns in STUDY:
    _depth = len(GROWTH) * 2 ** (_columns - 1)
    register(
        f"fractalnet{_depth}_narrow_cifar",
        FractalNetCifar,
        "classify",
        columns=_columns,
        first_channels=NARROW,
    )
