"""Fractal of FractalNet: the fractal rule once more, with whole fractal blocks as its parts.

Three paths lead to the last join: one block that reads the image, one that reads the first join,
and the long way through all others. They may be trained one after the other: a path that is frozen
keeps its weights, and the next learns to correct it.

Source:  Smith, Topin, 2016, arXiv:1611.00847, and the network files of its release.
Claims:  claims/fractal_of_fractalnet.toml
Differs: in the release two convolutions, it is not known which, have no dropout where their block
         has 0.3. Paths are ordered from the shortest; a cycle is a share of the training, not a
         number of steps; freeze-path takes the same intervals, once over the whole training.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import check_exact_image, check_option, round_channels
from convatlas.errors import UsageError
from convatlas.models.classify.fractalnet import FractalBlock, draw_xavier
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.drop_path import local_drop_path

SIZE = 32
COLUMNS = 3
UNITS = (  # name, what it reads, channels, poolings by two, dropout in that of the last units
    ("u1", "image", 64, 1, 0.0),
    ("u2", "u1", 128, 1, 1 / 3),
    ("u3", "image", 128, 2, 1 / 3),
    ("u4", "join", 256, 1, 2 / 3),
    ("u5", "u4", 512, 1, 1.0),
    ("u6", "join", 512, 2, 1.0),
    ("u7", "image", 512, 4, 1.0),
)
FIRST_JOIN = ("u2", "u3")
LAST_JOIN = ("u7", "u6", "u5")  # from the shortest path on
OWN_UNITS = (("u7",), ("u6",), ("u1", "u2", "u3", "u4", "u5"))  # that no later path reads
JOINS = ("mean", "sum", "taylor")
FREEZES = ("none", "path", "drop_path")
INTERVALS = ("squares", "equal", "decreasing")


class FractalOfFractalNet(nn.Module):
    """Image classifier for images of 32 pixels.

    Args:
        last_join: "mean" as published; "sum" is that of stagewise boosting networks (SBN), "taylor"
            that of Taylor series networks (TSN), the sum of the first path, the square of the
            second and the cube of the third.
        freeze: what the training freezes as it goes on. "path": in the first interval all learn,
            then the shortest path keeps its weights, then the next as well. "drop_path", for sums:
            one path learns, shorter ones are added without learning, longer ones are left out.
        intervals: lengths of the paths' turns: "squares" gives path i a share as (i + 1) ** 2,
            "decreasing" the same backwards.
        cycles: how often freeze-drop-path goes through all paths.
        random_order: freeze-drop-path draws each step's path, as likely as its interval is long.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values zeroed after each convolution of the last blocks in training.
        drop_path: chance that a join leaves out one of its paths in training.

    Shape: (n, in_channels, 32, 32) -> (n, num_classes) logits

    Raises:
        UsageError: freeze-drop-path with a mean, or a value that is none of those above.
    """

    exact_size: Final = (SIZE, SIZE)

    def __init__(
        self,
        *,
        last_join: str = "mean",
        freeze: str = "none",
        intervals: str = "squares",
        cycles: int = 100,
        random_order: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.3,
        drop_path: float = 0.15,
    ):
        super().__init__()
        check_option("FractalOfFractalNet", "last_join", last_join, JOINS)
        check_option("FractalOfFractalNet", "freeze", freeze, FREEZES)
        check_option("FractalOfFractalNet", "intervals", intervals, INTERVALS)
        if freeze == "drop_path" and last_join == "mean":
            raise UsageError(
                "FractalOfFractalNet: freeze='drop_path' must have last_join='sum' or 'taylor', "
                "got 'mean'"
            )
        if cycles < 1 or not 0 <= drop_path < 1:
            raise UsageError(
                "FractalOfFractalNet: cycles must be from 1 up and drop_path from 0 to under 1, "
                f"got {cycles} and {drop_path}"
            )
        self.in_channels, self.drop_path, self.last_join = in_channels, drop_path, last_join
        self.freeze, self.cycles, self.random_order = freeze, cycles, random_order
        self.ends = interval_ends(len(LAST_JOIN), intervals)
        self.active: int | None = None  # the path that learns; None before a schedule speaks
        out = {name: round_channels(c * width) for name, _, c, _, _ in UNITS}
        out |= {"image": in_channels, "join": out[FIRST_JOIN[0]]}
        self.units = nn.ModuleDict(
            {
                name: FractalBlock(
                    out[reads],
                    [out[name]] * COLUMNS,
                    dropout=dropout * share,
                    drop_path=drop_path,
                    pool=2**poolings,
                )
                for name, reads, _, poolings, share in UNITS
            }
        )
        side = SIZE // 2**4
        self.classifier = nn.Linear(out[LAST_JOIN[0]] * side * side, num_classes)
        draw_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        size = self.exact_size
        check_exact_image(x, "FractalOfFractalNet", channels=self.in_channels, size=size)
        maps = {"image": x}
        for name, reads, _, _, _ in UNITS:
            if reads == "join" and "join" not in maps:
                maps["join"] = self._mean([maps[n] for n in FIRST_JOIN])
            maps[name] = self.units[name](maps[reads])
        return self.classifier(self._join([maps[name] for name in LAST_JOIN]).flatten(1))

    def _mean(self, paths: Sequence[Tensor]) -> Tensor:
        return local_drop_path(paths, self.drop_path, training=self.training)

    def _join(self, paths: Sequence[Tensor]) -> Tensor:
        if self.last_join == "mean":
            return self._mean(paths)
        if self.last_join == "taylor":
            paths = [path**power for power, path in enumerate(paths, start=1)]
        active = self.active if self.training and self.freeze == "drop_path" else None
        return freeze_drop_path(paths, active)

    def training_progress(self, share: float) -> None:
        """Choose the path that learns now.

        Args:
            share: of the training that is done, 0 to 1.
        """
        if self.freeze == "drop_path":
            place = torch.rand(()).item() if self.random_order else share * self.cycles % 1
            self.active = interval_at(place, self.ends)
        elif self.freeze == "path":
            self.active = interval_at(share, self.ends)
            for path, units in enumerate(OWN_UNITS):
                for name in units:
                    self.units[name].requires_grad_(path >= self.active)

    example = image_example(SIZE)
    tiny = tiny_build(width=0.0625, dropout=0.0, drop_path=0.0)


def freeze_drop_path(paths: Sequence[Tensor], active: int | None) -> Tensor:
    """Sum the paths up to the active one, which alone learns; all of them if none is active.

    Shape: (n, c, h, w) each -> (n, c, h, w)
    """
    if active is None:
        return torch.stack(list(paths)).sum(0)
    total = paths[active]
    for path in paths[:active]:
        total = total + path.detach()
    return total


def interval_ends(paths: int, kind: str) -> tuple[float, ...]:
    """Return where the turn of each path ends, in fractions of a cycle; the last ends at 1."""
    lengths = [1 if kind == "equal" else (i + 1) ** 2 for i in range(paths)]
    if kind == "decreasing":
        lengths.reverse()
    return tuple(end / sum(lengths) for end in accumulate(lengths))


def interval_at(place: float, ends: Sequence[float]) -> int:
    """Return the path whose turn it is at a place from 0 to 1 of the cycle."""
    return next((path for path, end in enumerate(ends) if place < end), len(ends) - 1)


register("fractal_of_fractalnet_cifar", FractalOfFractalNet, "classify")
