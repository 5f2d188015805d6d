"""What Inception v4 and Inception-ResNet share: the stem of figure 3 and the first reduction.

Source:  Szegedy, Ioffe, Vanhoucke, Alemi, AAAI 2017, arXiv:1602.07261, figures 3 and 7, table 1.
"""

from torch import nn

from convatlas.blocks import Conv, Fork, Pool, Step

Module = tuple[tuple[Step, ...], ...]


class MeanInside(nn.AvgPool2d):
    """The mean of those pixels of a window that lie inside the image."""

    def __init__(self, kernel: int, *, stride: int, padding: int):
        super().__init__(kernel, stride, padding, count_include_pad=False)


AVERAGE_POOL, MAX_POOL = Pool(MeanInside), Pool(nn.MaxPool2d, 2)
FIRST = (Conv(32, 3, 2, padded=False), Conv(32, 3, padded=False), Conv(64, 3))
STEM_4 = (  # figure 3
    *FIRST,
    Fork(((MAX_POOL,), (Conv(96, 3, 2, padded=False),)), stride=2),
    Fork(
        (
            (Conv(64), Conv(96, 3, padded=False)),
            (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, padded=False)),
        )
    ),
    Fork(((Conv(192, 3, 2, padded=False),), (MAX_POOL,)), stride=2),
)


def reduce_a(k: int, wide: int, m: int, n: int) -> Module:
    """Return the module of figure 7 with the widths of table 1."""
    return (
        (Conv(n, 3, 2, padded=False),),
        (Conv(k), Conv(wide, 3), Conv(m, 3, 2, padded=False)),
        (MAX_POOL,),
    )
