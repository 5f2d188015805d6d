"""AlexNet: the network that made photographs a matter of learning.

Large filters with large steps first, then ever smaller ones, rectified units throughout, and two
wide layers with dropout that read what is left.

Source:  Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3 (`alexnet_two_tower`); Krizhevsky,
         "One weird trick for parallelizing convolutional neural networks", 2014, arXiv:1404.5997
         (`alexnet`).
Claims:  claims/alexnet.toml
Differs: the first convolution is padded by 2, without which the stated 224 pixels do not give the
         stated 55 x 55 maps. The channels of one tower are those of the released configuration,
         for its paper does not list them; its starting weights are He's.
"""

from torch import Tensor, nn

from convatlas.blocks import (
    check_image,
    check_option,
    draw_he_normal,
    local_response_norm_layer,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

CONVOLUTIONS = {  # two towers?: channels, kernel, towers that do not see each other
    False: ((64, 11, 1), (192, 5, 1), (384, 3, 1), (256, 3, 1), (256, 3, 1)),
    True: ((96, 11, 1), (256, 5, 2), (384, 3, 1), (384, 3, 2), (256, 3, 2)),
}
POOLED_AFTER = (1, 2, 5)
NORMALISED_AFTER = (1, 2)  # with two towers
BIAS_OF_ONE = (2, 4, 5)  # so that their rectified units start with something to learn from
HIDDEN = 4096


class AlexNet(nn.Module):
    """Image classifier without batch normalisation.

    Args:
        two_towers: the network of 2012: half of the channels on either of two GPUs, which see each
            other only in the third convolution, and local response normalisation; else the
            network of 2014 on one GPU, without it.
        width: multiplies every channel count and the two hidden layers.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the features zeroed in training: behind the two hidden layers with two
            towers, in front of them with one.
        stem_stride: step of the first convolution, 4 as published; 2 or 1 for smaller images.
        map_side: side of the maps that the first hidden layer reads, 6 as published; others are
            averaged or repeated to it. 1 saves three fifths of the weights.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 63 pixels
        as published, 35 with a stem_stride of 2, 21 with 1.
    """

    def __init__(
        self,
        *,
        two_towers: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        stem_stride: int = 4,
        map_side: int = 6,
    ):
        super().__init__()
        check_option("AlexNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        self.min_size = 7 + 14 * stem_stride  # fifteen pixels for the three poolings
        channels = in_channels
        stages: list[list[nn.Module]] = [[]]
        for number, (out, kernel, towers) in enumerate(CONVOLUTIONS[two_towers], start=1):
            into, channels = channels, round_channels(out * width)
            stride, padding = (stem_stride, 2) if number == 1 else (1, kernel // 2)
            convolution = nn.Conv2d(into, channels, kernel, stride, padding, groups=towers)
            stages[-1] += [convolution, nn.ReLU()]
            if two_towers and number in NORMALISED_AFTER:
                stages[-1].append(local_response_norm_layer())
            if number in POOLED_AFTER:
                stages.append([nn.MaxPool2d(3, stride=2)])
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.pool = nn.AdaptiveAvgPool2d(map_side)
        hidden = round_channels(HIDDEN * width)
        before, behind = (0.0, dropout) if two_towers else (dropout, 0.0)
        self.classifier = nn.Sequential(
            nn.Dropout(before),
            nn.Linear(channels * map_side**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(behind),
            nn.Linear(hidden, num_classes),
        )
        if two_towers:
            self._draw_published_weights()
        else:
            draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "AlexNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.pool(self.stages(x)).flatten(1))

    example = image_example(224)
    tiny = tiny_build(96, width=0.125, map_side=2)

    def _draw_published_weights(self) -> None:
        """Draw weights from N(0, 0.01), and set biases to one where the paper does (section 5)."""
        convolutions = [m for m in self.stages.modules() if isinstance(m, nn.Conv2d)]
        layers = [m for m in self.classifier if isinstance(m, nn.Linear)]
        ones = [convolutions[number - 1] for number in BIAS_OF_ONE] + layers[:-1]
        for layer in [*convolutions, *layers]:
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, 1.0 if layer in ones else 0.0)


register("alexnet", AlexNet, "classify")
register("alexnet_two_tower", AlexNet, "classify", two_towers=True)
