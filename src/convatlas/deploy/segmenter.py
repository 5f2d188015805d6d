"""From an image or volume of any size to a class for each of its pixels."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from convatlas.deploy.predictor import Agreement, Predictor
from convatlas.deploy.windows import Windows, slide
from convatlas.models.segment.segmenter import Segmenter, of_axis

CLASSES = "classes"  # in the metadata of an exported file: their names as JSON
WINDOW_PIXELS = {2: (512, 512), 3: (32, 160, 160)}  # of an image, answered at once
PADDED_BORDER = 16  # pixels at a cut edge that networks with padding answer worst for
AXES = {2: {0: "n", 1: "h", 2: "w"}, 3: {0: "n", 1: "d", 2: "h", 3: "w"}}


@dataclass(frozen=True, eq=False)
class Segmented:
    """The answer for one image.

    Args:
        mask: the most probable class of each pixel. Shape: uint8 (h, w) or (d, h, w)
        probability: of that class. Shape: float32, as `mask`
        lead: over the second most probable class. Shape: float32, as `mask`
    """

    mask: Tensor
    probability: Tensor
    lead: Tensor

    @classmethod
    def of(cls, probabilities: Tensor) -> "Segmented":
        """Return the answer that probabilities give. Shape: (k, h, w) or (k, d, h, w), k from 2"""
        best, places = probabilities.topk(2, dim=0)
        return cls(places[0].to(torch.uint8), best[0], best[0] - best[1])

    @classmethod
    def joined(cls, pieces: "Sequence[Segmented]") -> "Segmented":
        """Return one answer of pieces that follow each other along the first axis."""
        names = ("mask", "probability", "lead")
        return cls(*(torch.cat([getattr(piece, name) for piece in pieces]) for name in names))


class MaskPredictor(Predictor):
    """Pre-processing, network and softmax as one module, for images or volumes of any size.

    The image is mirrored at its borders as far as the network looks beyond them and up to the next
    length that it takes; what was added is cut off the answer. Where large images are reduced
    before the network, the answer is enlarged again.

    Args:
        network: a `Segmenter`; its logits become the probabilities.
        mean: of each channel, of values in 0..1.
        std: as `mean`.
        classes: names of the outputs.
        reduce: height and width of the image become 1 / reduce, by averages.
        usual: the sides of a usual image.
        window: sides in pixels, after reduction, of what is answered at once; larger images go
            window by window.

    Shape: uint8 (n, h, w, channels) -> mask uint8 (n, h, w), probabilities float32 (n, k, h, w);
        volumes have d before h.
    """

    outputs = ("mask", "probabilities")
    items = "images"
    decision = "same masks"

    mean: Tensor
    std: Tensor
    reduce: int

    def __init__(
        self,
        network: Segmenter,
        mean: Sequence[float],
        std: Sequence[float],
        classes: Sequence[str],
        *,
        reduce: int = 1,
        usual: Sequence[int] | None = None,
        window: Sequence[int] | None = None,
    ):
        super().__init__()
        dims = network.dims
        if not len(mean) == len(std) == network.in_channels or min(std) <= 0:
            raise ValueError(
                f"MaskPredictor: mean and std must have {network.in_channels} values, std above 0, "
                f"got {list(mean)} and {list(std)}"
            )
        self.network, self.reduce, self.dims = network, reduce, dims
        self.classes = list(classes)
        shape = (network.in_channels, *[1] * dims)
        self.register_buffer("mean", torch.tensor(mean).reshape(shape))
        self.register_buffer("std", torch.tensor(std).reshape(shape))
        self.inputs = {"volume" if dims == 3 else "image": AXES[dims]}
        self.metadata = {CLASSES: json.dumps(self.classes, ensure_ascii=False)}
        self._usual = tuple(usual or [64] * dims)
        self.windows = _windows(network, self._reductions, tuple(window or WINDOW_PIXELS[dims]))
        name, free = next(iter(self.inputs)), ", ".join(AXES[dims].values())
        self.usage = (
            f"input `{name}`: uint8 ({free}, {network.in_channels}), any size; outputs `mask` "
            f"uint8 ({free}) and `probabilities`"
        )

    @property
    def _reductions(self) -> list[int]:
        """How much each axis is reduced: height and width alike, depth never."""
        return [1] * (self.dims - 2) + [self.reduce] * 2

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        probabilities = torch.softmax(self.logits(image).float(), dim=1)
        return probabilities.argmax(1).to(torch.uint8), probabilities

    def logits(self, image: Tensor) -> Tensor:
        """Return logits of every pixel. Shape: uint8 (n, h, w, channels) -> (n, k, h, w)"""
        sides = image.shape[1:-1]
        x = image.movedim(-1, 1)
        for axis, side in enumerate(sides):
            x = x.index_select(axis + 2, self._places(side, axis, image.device))
        x = x.float()
        if self.reduce > 1:
            pool = functional.avg_pool3d if self.dims == 3 else functional.avg_pool2d
            x = pool(x, self._reductions)
        y = self.network((x / 255 - self.mean) / self.std)
        stride = cast(Segmenter, self.network).output_stride
        scale = [float(stride * reduction) for reduction in self._reductions]
        if max(scale) > 1:
            mode = "trilinear" if self.dims == 3 else "bilinear"
            y = functional.interpolate(y, scale_factor=scale, mode=mode, align_corners=False)
        for axis, side in enumerate(sides):
            y = y.narrow(axis + 2, 0, side)
        return y

    def _places(self, side: int, axis: int, device: torch.device) -> Tensor:
        """Return the pixel that stands at each place of the network's input, mirrored outside."""
        network, reduce = cast(Segmenter, self.network), self._reductions[axis]
        reduced = (side + reduce - 1) // reduce
        length = network.input_length(reduced, axis) * reduce
        places = torch.arange(length, device=device) - of_axis(network.margin, axis) * reduce
        inside = torch.arange(side, device=device)
        last = inside[-1:]  # the length as a tensor: export keeps it free
        places = torch.remainder(places, 2 * last + 2)  # the image and its mirror, repeated
        return torch.where(places <= last, places, 2 * last + 1 - places)

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random images of the usual size, no side like another."""
        sides = [max(2, side) for side in self._usual]
        if len(set(sides)) < len(sides):  # an exporter takes equal sides for one and the same side
            sides = [side + axis for axis, side in enumerate(sides)]
        shape = (batch, *sides, len(self.mean))
        return (torch.randint(0, 256, shape, dtype=torch.uint8),)

    def answers(
        self, items: Sequence[Any], run: Callable[..., tuple[Tensor, Tensor]]
    ) -> list[Segmented]:
        """Answer images one by one; those larger than a window go window by window."""
        return [self._answer(item, run) for item in items]

    def _answer(self, item: Tensor, run: Callable[..., tuple[Tensor, Tensor]]) -> Segmented:
        pieces = slide(lambda cut: run(cut.contiguous())[1], item, self.windows)
        return Segmented.joined([Segmented.of(piece) for piece in pieces])

    def compare(
        self, expected: Sequence[Segmented], answered: Sequence[Segmented], tolerance: float
    ) -> Agreement:
        """Compare masks and probabilities, pixel by pixel.

        A pixel whose two best classes are as near as rounding brings them may have either.
        """
        same, worst = 0, 0.0
        for a, b in zip(expected, answered, strict=True):
            worst = max(worst, float((a.probability - b.probability).abs().max()))
            decided = torch.minimum(a.lead, b.lead) > 2 * tolerance
            same += not bool(((a.mask != b.mask) & decided).any())
        return Agreement(same / len(expected), worst)


def _windows(network: Segmenter, reductions: Sequence[int], pixels: Sequence[int]) -> Windows:
    """Cut so that a network without padding answers as for the whole image."""
    lengths, borders, fades, grids = [], [], [], []
    for axis, reduce in enumerate(reductions):
        grid = of_axis(network.size_multiple, axis) * network.output_stride
        margin = of_axis(network.margin, axis)
        # A whole cell of the grid is answered from one stretch of the image.
        border = margin + grid if margin else min(PADDED_BORDER, pixels[axis] // 8)
        fade = grid if margin else max(1, min(2 * border, pixels[axis] // 8))
        length = max(pixels[axis], 2 * border + fade + grid)
        grids.append(grid * reduce)
        borders.append(border * reduce)
        fades.append(fade * reduce)
        lengths.append((length + -length % grid) * reduce)
    return Windows(lengths, borders, fades, grids)


def as_segmenter(network: nn.Module) -> Segmenter:
    """Return a network that says how large its inputs and answers are.

    A network of a user's own that is no `Segmenter` is taken for one that answers for every pixel
    of images of any size.

    Raises:
        ValueError: it does not say how many channels and classes it has.
    """
    if isinstance(network, Segmenter):
        return network
    return _Plain(network)


class _Plain(Segmenter):
    """A network of a user's own: images in, a map of logits of the same size out."""

    def __init__(self, network: nn.Module):
        super().__init__()
        for name in ("in_channels", "num_classes"):
            if not isinstance(getattr(network, name, None), int):
                raise ValueError(
                    f"{type(network).__name__}: must have the attribute {name}, or be a Segmenter"
                )
        self.in_channels, self.num_classes = network.in_channels, network.num_classes  # pyright: ignore[reportAttributeAccessIssue]  just checked
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
