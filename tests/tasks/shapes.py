"""Squares with boxes, and a small detector of a user's own that finds them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from convatlas.models.detect.detector import OneStage
from convatlas.models.detect.pyramid_anchors import pyramid_anchors

STRIDE, SIDES = 8, (14.0, 22.0)
KINDS = {"light": (2, 4, 90), "dark": (30, 34, -90)}  # first row and column, added grey


def make_shapes(folder: Path, count: int, *, first: int = 0) -> Path:
    """Light and dark squares on grey noise, with a table of their boxes; no side like the other."""
    (folder / "images").mkdir(parents=True)
    rows = ["file,class,xmin,ymin,xmax,ymax"]
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        image, name = random.normal(128, 12, (56, 64)), f"images/{number:03d}.png"
        for kind, (top, left, grey) in KINDS.items():
            side, down, right = (int(x) for x in random.integers((14, 0, 0), (20, 6, 6)))
            y, x = top + down, left + right
            image[y : y + side, x : x + side] += grey
            rows.append(f"{name},{kind},{x},{y},{x + side},{y + side}")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name)
    (folder / "boxes.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


class ShapeNet(OneStage):
    """Three convolutions with strides, and a class and an offset for two squares at each place."""

    def __init__(self, width: float = 1.0, in_channels: int = 1, num_classes: int = 2):
        super().__init__(num_classes=num_classes, in_channels=in_channels, loss="softmax")
        channels = round(16 * width)
        layers: list[nn.Module] = []
        for into in (in_channels, channels, channels):
            convolution = nn.Conv2d(into, channels, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        each = len(SIDES) * (self.outputs + 4)
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, each, 3, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        answers = self.body(images).permute(0, 2, 3, 1)
        answers = answers.reshape(images.shape[0], -1, self.outputs + 4)
        return answers[..., : self.outputs], answers[..., self.outputs :]

    def anchors(self, height: int, width: int) -> Tensor:
        return pyramid_anchors(
            height, width, strides=[STRIDE], sides=[SIDES], ratios=(1.0,), centred=True
        )

    def example(self, batch: int = 1, size: int = 64) -> tuple[Tensor]:
        return (torch.rand(batch, self.in_channels, size, size),)
