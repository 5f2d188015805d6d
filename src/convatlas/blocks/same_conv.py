"""A convolution padded as TensorFlow pads, which weights trained there need."""

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: where the padding is odd, the end gets more.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def forward(self, input: Tensor) -> Tensor:  # named as torch names it
        if self.stride == (1, 1):
            return super().forward(input)  # both ways of padding are the same
        rows, columns = self._sides(input.shape[2]), self._sides(input.shape[3])
        padded = F.pad(input, (*columns, *rows))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _sides(self, size: int) -> tuple[int, int]:
        # The last window starts at the last multiple of the stride and sticks out by the rest.
        total = self.kernel_size[0] - 1 - (size - 1) % self.stride[0]
        return total // 2, total - total // 2
