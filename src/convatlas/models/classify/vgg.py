"""VGG: nothing but 3 x 3 convolutions, stacked deep.

Two of them see as much as one of 5 x 5 and three as much as one of 7 x 7, with fewer weights and
more rectified units between.

Source:  Simonyan, Zisserman, ICLR 2015, arXiv:1409.1556, table 1.
Claims:  claims/vgg.toml
Differs: the forms with batch norm are torchvision's, later than the paper. Starting weights are
         He's, where the paper starts the deep forms from a trained configuration A.
"""

from typing import Final

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

CHANNELS = (64, 128, 256, 512, 512)
CONFIGS = {  # table 1: the kernels of each of the five stages
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
NAMES = {"A": "vgg11", "B": "vgg13", "D": "vgg16", "E": "vgg19"}
HIDDEN = 4096


class VGG(nn.Module):
    """Image classifier.

    Args:
        config: column of table 1: A, A-LRN (a response norm behind the first convolution), B, C
            (1 x 1 convolutions among the 3 x 3), D or E.
        batch_norm: a batch norm behind every convolution, which keeps its bias.
        width: multiplies every channel count and the two hidden layers.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of either hidden layer zeroed in training.
        map_side: side of the maps that the first hidden layer reads, 7 as published; others are
            averaged or repeated to it. 1 suits images of 32 pixels and saves most of the weights.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 32 pixels up.
    """

    min_size: Final = 32

    def __init__(
        self,
        *,
        config: str = "D",
        batch_norm: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        map_side: int = 7,
    ):
        super().__init__()
        check_option("VGG", "config", config, CONFIGS)
        self.in_channels = in_channels
        channels = in_channels
        stages: list[list[nn.Module]] = [[]]
        for base, kernels in zip(CHANNELS, CONFIGS[config], strict=True):
            for kernel in kernels:
                into, channels = channels, round_channels(base * width)
                stages[-1].append(nn.Conv2d(into, channels, kernel, padding=kernel // 2))
                if batch_norm:
                    stages[-1].append(nn.BatchNorm2d(channels))
                stages[-1].append(nn.ReLU())
            if config == "A-LRN" and len(stages) == 1:
                stages[-1].append(local_response_norm_layer())
            stages.append([nn.MaxPool2d(2)])
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.pool = nn.AdaptiveAvgPool2d(map_side)
        hidden = round_channels(HIDDEN * width)
        self.classifier = nn.Sequential(
            nn.Linear(channels * map_side**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "VGG", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.pool(self.stages(x)).flatten(1))

    example = image_example(224)
    tiny = tiny_build(64, config="A", width=0.125, map_side=1)


for _config, _name in NAMES.items():
    register(_name, VGG, "classify", config=_config)
    register(f"{_name}_bn", VGG, "classify", config=_config, batch_norm=True)
register("vgg11_lrn", VGG, "classify", config="A-LRN")
register("vgg16_1x1", VGG, "classify", config="C")
