"""What a segmentation network says of itself, so that images of any size can be brought to it.

A network without padding answers for less than it sees, one that halves its maps takes only sizes
that can be halved. Both are numbers here; what cuts, fills and joins is written once, elsewhere.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.ops.tracing import is_traced

IGNORED = 255  # in masks: pixels that have no class; they count in no loss and no figure
PerAxis = int | Sequence[int]


class Segmenter(nn.Module):
    """Base of networks that give each pixel a class.

    A subclass sets what differs from the values here. Along an axis it takes lengths of
    `size_offset` plus a multiple of `size_multiple` that are above twice the margin, and answers
    (length - 2 margin) / output_stride logits. `margin`, `size_multiple` and `size_offset` are
    numbers, or one for each axis: depth, height, width.

    A network with a loss of its own (edges, several outputs) has the method
    `losses(images, masks) -> dict[str, Tensor]`: the parts of the loss, each a number, whose sum is
    minimised. Images are as `forward` takes them, masks int64 classes of the pixels that `forward`
    answers for, `IGNORED` where there is none. `forward` in training returns logits alone as well.

    Attributes:
        in_channels: channels of the image.
        num_classes: of a pixel.
        dims: axes of an image: 2, or 3 for volumes.
        margin: pixels at each side that the network sees and does not answer for.
        size_multiple: of the lengths that it takes.
        size_offset: of them.
        output_stride: pixels of the image along each axis for one of the answer.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h', w') logits
    """

    in_channels: int
    num_classes: int
    dims: int = 2
    margin: PerAxis = 0
    size_multiple: PerAxis = 1
    size_offset: PerAxis = 0
    output_stride: int = 1

    def input_length(self, length: int, axis: int = 0) -> int:
        """Return the smallest length that the network takes and whose answer covers `length`.

        Args:
            length: pixels to be answered for, from 1 up; a symbol while a program is exported.
            axis: of the image, from 0.
        """
        least = length + 2 * of_axis(self.margin, axis)
        return least + (of_axis(self.size_offset, axis) - least) % of_axis(self.size_multiple, axis)

    def output_length(self, length: int, axis: int = 0) -> int:
        """Return how many logits the network gives along an axis for a length that it takes."""
        return (length - 2 * of_axis(self.margin, axis)) // self.output_stride

    def check(self, x: Tensor) -> None:
        """Refuse a batch that the network cannot take, saying what it can.

        Nothing is checked while the network is traced or exported.

        Raises:
            ValueError: x is not (n, in_channels, ...) with lengths that the network takes.
        """
        if is_traced(x) or torch.compiler.is_compiling():
            return
        sides = x.shape[2:]
        takes = x.ndim == 2 + self.dims and x.shape[1] == self.in_channels
        if not takes or any(self._refuses(side, axis) for axis, side in enumerate(sides)):
            letters = "dhw"[3 - self.dims :]
            lengths = [self._lengths(axis) for axis in range(self.dims)]
            if len(set(lengths)) == 1:
                words = f"{', '.join(letters[:-1])} and {letters[-1]} {lengths[0]}"
            else:
                words = ", ".join(f"{a} {each}" for a, each in zip(letters, lengths, strict=True))
            raise ValueError(
                f"{type(self).__name__}: input must be (n, {self.in_channels}, "
                f"{', '.join(letters)}) with {words}, got {tuple(x.shape)}"
            )

    def _refuses(self, side: int, axis: int) -> bool:
        offset, multiple = of_axis(self.size_offset, axis), of_axis(self.size_multiple, axis)
        return side < self.input_length(1, axis) or (side - offset) % multiple != 0

    def _lengths(self, axis: int) -> str:
        offset, multiple = of_axis(self.size_offset, axis), of_axis(self.size_multiple, axis)
        smallest = self.input_length(1, axis)
        if multiple == 1:
            return f"from {smallest} pixels up"
        rest = f" plus {offset % multiple}" if offset % multiple else ""
        return f"a multiple of {multiple}{rest}, from {smallest} pixels up"


def of_axis(value: PerAxis, axis: int) -> int:
    """Return the number of one axis, from 0, where all may share one."""
    return value if isinstance(value, int) else value[axis]
