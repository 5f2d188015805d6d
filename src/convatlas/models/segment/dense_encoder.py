"""The texture stream of SAUNet: the layers of a DenseNet, without the first pooling.

Source:  Sun et al., "SAUNet", MICCAI 2020, arXiv:2001.07645, section 2.1, and the authors' code.
Differs: none from the code, which leaves out the ReLU behind the first norm and behind the last;
         each dense layer begins with a norm and a ReLU of its own.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.models.classify.dense_layers import COMPRESSION, DenseBlock, transition


class DenseEncoder(nn.Module):
    """Maps of a DenseNet at a half to a sixteenth of the image's resolution.

    Args:
        in_channels: channels of the image.
        growth: maps that each dense layer adds.
        layers: of each of the four blocks; (6, 12, 24, 16) for DenseNet-121.

    Shape: (n, in_channels, h, w) -> five tensors (n, channels[i], h / s, w / s), s = 2, 4, 8, 16
        and 16
    """

    def __init__(self, in_channels: int, growth: int, layers: Sequence[int]):
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.channels = [channels]
        blocks = []
        for index, count in enumerate(layers):
            block = DenseBlock(channels, growth, count)
            channels = block.out_channels
            if index < len(layers) - 1:
                kept = max(1, int(channels * COMPRESSION))
                blocks.append(nn.Sequential(block, transition(channels, kept)))
                channels = kept
            else:
                blocks.append(nn.Sequential(block, nn.BatchNorm2d(channels)))
            self.channels.append(channels)
        self.conv2, self.conv3, self.conv4, self.conv5 = blocks

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        c1 = self.conv1(x)
        c2 = self.conv2(c1)
        c3 = self.conv3(c2)
        c4 = self.conv4(c3)
        return c1, c2, c3, c4, self.conv5(c4)
