"""U-Net: down to a coarse map of the whole image, and up again with the fine maps laid beside.

The way down says what is there, the maps that are kept on it say where. Convolutions have no
padding, so each answer has seen only pixels of the image, and tiles of a large one fit together
without a seam.

Source:  Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
         Segmentation", MICCAI 2015, arXiv:1505.04597, figure 1.
Claims:  claims/unet.toml
Differs: dropout follows the last two levels of the way down; the paper says "at the end".
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.models.segment.segmenter import Segmenter

PADDINGS = ("valid", "same")
NORMS = ("none", "batch")
UPS = ("transposed", "bilinear")


class UNet(Segmenter):
    """Segmenter of images.

    Args:
        width: multiplies every channel count.
        channels: of the first level; each level below has twice as many.
        depth: how often the maps are halved.
        padding: `valid` as published: at each side 92 pixels are seen and not answered for;
            `same` fills the maps with zeros and answers for the whole image.
        norm: `none` as published, or `batch` after each convolution.
        up: `transposed` as published, or `bilinear` with a 1 x 1 convolution.
        dropout: share of the numbers zeroed in training, after the two coarsest levels.
        in_channels: channels of the image.
        num_classes: of a pixel.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h - 184, w - 184) logits; h and w a multiple
        of 16 plus 12, from 188 up. With padding `same`, (n, num_classes, h, w), multiples of 16.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        channels: int = 64,
        depth: int = 4,
        padding: str = "valid",
        norm: str = "none",
        up: str = "transposed",
        dropout: float = 0.5,
        in_channels: int = 1,
        num_classes: int = 2,
    ):
        super().__init__()
        check_option("UNet", "padding", padding, PADDINGS)
        check_option("UNet", "norm", norm, NORMS)
        check_option("UNet", "up", up, UPS)
        self.in_channels, self.num_classes, self.depth = in_channels, num_classes, depth
        self.size_multiple = 2**depth
        valid = padding == "valid"
        if valid:
            self.margin, self.size_offset = 6 * 2**depth - 4, -4
        self.image_size = self.input_length(388) if valid else 256
        # Pixels that a map of the way down is wider, at each side, than the one it is laid beside.
        self.crops = [12 * 2**i - 8 if valid else 0 for i in range(depth)]

        levels = [max(1, round(channels * 2**i * width)) for i in range(depth + 1)]
        self.down = nn.ModuleList(
            _two_convs(into, out, padding, norm)
            for into, out in zip([in_channels, *levels[:-1]], levels, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        pairs = list(zip(levels[:0:-1], levels[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(_enlarge(into, out, up) for into, out in pairs)
        self.up = nn.ModuleList(_two_convs(2 * out, out, padding, norm) for _, out in pairs)
        self.classifier = nn.Conv2d(levels[0], num_classes, 1)
        _draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        kept = []
        for level, convs in enumerate(self.down):
            x = convs(self.pool(x) if level else x)
            if level >= self.depth - 1:
                x = self.dropout(x)
            kept.append(x)
        for enlarge, convs, beside, crop in zip(
            self.enlarge, self.up, kept[-2::-1], self.crops, strict=True
        ):
            if crop:
                beside = beside[:, :, crop:-crop, crop:-crop]
            x = convs(torch.cat([beside, enlarge(x)], dim=1))
        return self.classifier(x)

    example = image_example("image_size")
    tiny = tiny_build(48, width=1 / 16, depth=2, in_channels=1)


def _two_convs(into: int, out: int, padding: str, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (into, out):
        layers.append(nn.Conv2d(channels, out, 3, padding=padding, bias=norm == "none"))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _enlarge(into: int, out: int, up: str) -> nn.Module:
    if up == "transposed":
        return nn.ConvTranspose2d(into, out, 2, stride=2)
    larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(larger, nn.Conv2d(into, out, 1))


def _draw_weights(model: nn.Module) -> None:
    """Draw weights from N(0, 2 / fan_in), so that the maps keep their variance (section 3)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Of a transposed convolution each output sees one number of each input map.
            seen = module.in_channels
            if isinstance(module, nn.Conv2d):
                seen *= module.kernel_size[0] * module.kernel_size[1]
            nn.init.normal_(module.weight, std=(2 / seen) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


register("unet", UNet, "segment")
register("unet_small", UNet, channels=16, padding="same", norm="batch", dropout=0.0)
