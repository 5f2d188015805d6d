"""FractalNet: blocks that hold short and long paths side by side, without residuals.

A fractal of C columns is two fractals of C - 1 columns in a row, joined with one convolution. Its
shallow columns teach the deep ones; afterwards the deepest column alone nearly equals the whole.

Source:  Larsson, Maire, Shakhnarovich, ICLR 2017, arXiv:1605.07648, sections 2 and 3, table 2.
Claims:  claims/fractalnet.toml
Differs: the last block is not pooled by 2 x 2, for ResNet-34's last layers, which the paper takes
         over, average all of its pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.drop_path import draw_column, local_drop_path

COLUMNS = 4
STEM = 64
CHANNELS = (128, 256, 512, 1024)


class FractalConv(nn.Sequential):
    """A 3 x 3 convolution with bias, dropout, batch norm and ReLU, in the order of the release.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float = 0.0):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.Dropout(dropout),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class FractalBlock(nn.Module):
    """Columns of 1, 2, 4... convolutions, joined by their mean wherever two or more end together.

    The columns are pooled each by itself before the last join.

    Args:
        widths: channels of each column, the shallowest first; a join has those of its widest
            column, and a 1 x 1 convolution widens the others.
        dropout: share of the values zeroed after each convolution in training.
        drop_path: chance that a join leaves out one of its columns in training, never all.
        pool: side of the window of the last maxima; 1 keeps the size.

    Shape: (n, in_channels, h, w) -> (n, max(widths), floor(h / pool), floor(w / pool))
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        *,
        dropout: float = 0.0,
        drop_path: float = 0.15,
        pool: int = 2,
    ):
        super().__init__()
        self.drop_path = drop_path
        self.columns = nn.ModuleList(nn.ModuleList() for _ in widths)
        self.widen = nn.ModuleDict()
        reads = [in_channels] * len(widths)
        for row in self._rows():
            ends = self._ends(row)
            joined = max(widths[c] for c in ends)
            for c in ends:
                column = self.columns[c]
                assert isinstance(column, nn.ModuleList)
                column.append(FractalConv(reads[c], widths[c], dropout=dropout))
                if widths[c] < joined:
                    self.widen[f"{row}_{c}"] = nn.Conv2d(widths[c], joined, 1)
                reads[c] = joined
        self.pool = nn.MaxPool2d(pool)

    def forward(self, x: Tensor, column: int | None = None) -> Tensor:
        """Run all columns, or only one: its convolutions, straight through the joins."""
        reads = [x] * len(self.columns)
        for row in self._rows():
            ends = self._ends(row) if column is None else self._ends(row, (column,))
            if not ends:
                continue
            paths = [self._run(row, c, reads[c]) for c in ends]
            joined = local_drop_path(paths, self.drop_path, training=self.training)
            for c in ends:
                reads[c] = joined
        return reads[0 if column is None else column]

    def _run(self, row: int, c: int, x: Tensor) -> Tensor:
        y = self.columns[c][row // self._step(c) - 1](x)  # type: ignore[index]  # a ModuleList
        key = f"{row}_{c}"
        y = self.widen[key](y) if key in self.widen else y
        return self.pool(y) if row == self._step(0) else y

    def _rows(self) -> range:
        """Return the places of the deepest column, from 1 on."""
        return range(1, self._step(0) + 1)

    def _step(self, c: int) -> int:
        """Return how many places of the deepest column one convolution of column `c` spans."""
        return 2 ** (len(self.columns) - 1 - c)

    def _ends(self, row: int, columns: Sequence[int] | None = None) -> list[int]:
        """Return the columns that have a convolution which ends in this row."""
        wanted = range(len(self.columns)) if columns is None else columns
        return [c for c in wanted if row % self._step(c) == 0]


def run_blocks(
    blocks: nn.Sequential, x: Tensor, *, columns: int, column: int | None, global_share: float
) -> Tensor:
    """Run the blocks one after the other, all of their columns or the same single one.

    Args:
        column: in evaluation, run this one alone.
        global_share: in training, chance that a batch runs through one column, drawn anew.
    """
    if blocks.training:
        # Drawn on the CPU, whatever the default device, because the answer steers Python.
        glob = global_share > 0 and torch.rand((), device="cpu").item() < global_share
        column = draw_column(columns) if glob else None
    for block in blocks:
        x = block(x, column) if isinstance(block, FractalBlock) else block(x)
    return x


def check_paths(
    model: str, *, columns: int, column: int | None, drop_path: float, global_share: float
) -> None:
    """Refuse columns and rates that no fractal has.

    Raises:
        UsageError: columns below 1, a column that is not there, or a rate that is no chance.
    """
    if columns < 1:
        raise UsageError(f"{model}: columns must be from 1 up, got {columns}")
    if column is not None:
        check_option(model, "column", column, range(columns))
    if not 0 <= drop_path < 1 or not 0 <= global_share <= 1:
        raise UsageError(
            f"{model}: drop_path must be from 0 to under 1 and global_share from 0 to 1, got "
            f"{drop_path} and {global_share}"
        )


def draw_xavier(model: nn.Module) -> None:
    """Draw weights from U(-a, a), a = sqrt(3 / fan_in), and zero biases: Caffe's "xavier"."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class FractalNet(nn.Module):
    """Image classifier, the form for ImageNet: four blocks between the ends of ResNet-34.

    Args:
        columns: of each block; depth is 4 * 2 ** (columns - 1) + 2.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values zeroed after each convolution of the blocks in training.
        drop_path: chance that a join leaves out one of its columns in training; 0 switches all
            drop-path off.
        global_share: chance that a batch runs through one column only in training.
        column: in evaluation, run this column alone, 0 the shallowest; None runs all.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 and 8 with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        columns: int = COLUMNS,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        drop_path: float = 0.15,
        global_share: float = 0.0,
        column: int | None = None,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("FractalNet", "stem_stride", stem_stride, (4, 2, 1))
        rates = {"drop_path": drop_path, "global_share": global_share}
        check_paths("FractalNet", columns=columns, column=column, **rates)
        self.in_channels, self.columns, self.column = in_channels, columns, column
        self.global_share = global_share if drop_path > 0 else 0.0
        # Three poolings need two pixels for one; the stem rounds up.
        self.min_size = 7 * stem_stride + 1
        channels = round_channels(STEM * width)
        stem = ConvNormAct(in_channels, channels, 7, stride=2)
        if stem_stride == 1:
            stem = ConvNormAct(in_channels, channels, 3)
        pooled = [nn.MaxPool2d(3, stride=2, padding=1)] if stem_stride == 4 else []
        stages: list[nn.Module] = [nn.Sequential(stem, *pooled)]
        for index, base in enumerate(CHANNELS):
            out = round_channels(base * width)
            pool = 1 if index == len(CHANNELS) - 1 else 2
            widths = [out] * columns
            block = FractalBlock(channels, widths, dropout=dropout, drop_path=drop_path, pool=pool)
            stages.append(block)
            channels = out
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)
        draw_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "FractalNet", channels=self.in_channels, min_size=self.min_size)
        how = {"columns": self.columns, "column": self.column, "global_share": self.global_share}
        return self.classifier(run_blocks(self.stages, x, **how).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, columns=2, width=0.0625, drop_path=0.0)


register("fractalnet34", FractalNet, "classify")
