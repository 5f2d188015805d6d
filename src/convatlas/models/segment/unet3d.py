"""3-D U-Net: the U-Net on volumes, with filters that read neighbouring slices as well.

Channels double before a pooling, not behind it, so that no layer has to say much with few numbers.
Trained on a few annotated slices of a volume, it labels all of them.

Source:  Cicek et al., "3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation",
         MICCAI 2016, arXiv:1606.06650, figure 2.
Claims:  claims/unet3d.toml
Differs: the printed number of parameters has room for one number in each channel of a batch norm;
         here that is the shift, and `norm_scale` adds the scale, which the next convolution makes
         superfluous.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.registry import register
from convatlas.models.segment.segmenter import Segmenter

PADDINGS = ("valid", "same")
PUBLISHED = (116, 132, 132)  # voxels of the published input: depth, height, width


class UNet3D(Segmenter):
    """Segmenter of volumes, such as stacks of slices.

    Args:
        width: multiplies every channel count.
        channels: that the first convolution makes; the second of a level makes twice as many, and
            each level below twice as many as the one above.
        depth: how often the maps are halved.
        padding: `valid` as published: at each side 44 voxels are seen and not answered for; `same`
            fills the maps with zeros and answers for the whole volume.
        norm_scale: give the batch norms a scale besides the shift.
        in_channels: channels of the volume.
        num_classes: of a voxel.

    Shape: (n, in_channels, d, h, w) -> (n, num_classes, d - 88, h - 88, w - 88) logits; d, h and w
        a multiple of 8 plus 4, from 92 up. With padding `same`, (n, num_classes, d, h, w),
        multiples of 8.
    """

    dims = 3

    def __init__(
        self,
        *,
        width: float = 1.0,
        channels: int = 32,
        depth: int = 3,
        padding: str = "valid",
        norm_scale: bool = False,
        in_channels: int = 3,
        num_classes: int = 3,
    ):
        super().__init__()
        check_option("UNet3D", "padding", padding, PADDINGS)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.size_multiple = 2**depth
        valid = padding == "valid"
        if valid:
            self.margin, self.size_offset = 6 * 2**depth - 4, -4
        # Voxels that a map of the way down is wider, at each side, than the one it is laid beside.
        self.crops = [12 * 2**i - 8 if valid else 0 for i in range(depth)]
        self.volume_size = PUBLISHED if valid and depth == 3 else (16 * 2**depth,) * 3

        def convs(into: int, hidden: int, out: int) -> nn.Sequential:
            pairs = ((into, hidden), (hidden, out))
            layers = (_conv_norm_relu(a, b, padding, norm_scale) for a, b in pairs)
            return nn.Sequential(*(layer for part in layers for layer in part))

        # Of each level: the channels of its first convolution and of its second.
        levels = [max(1, round(channels * 2**i * width)) for i in range(depth + 2)]
        self.down = nn.ModuleList(
            convs(levels[i] if i else in_channels, levels[i], levels[i + 1])
            for i in range(depth + 1)
        )
        self.pool = nn.MaxPool3d(2)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose3d(c, c, 2, stride=2, bias=False) for c in levels[:1:-1]
        )
        self.up = nn.ModuleList(
            convs(below + beside, beside, beside)
            for below, beside in zip(levels[:1:-1], levels[-2:0:-1], strict=True)
        )
        self.classifier = nn.Conv3d(levels[1], num_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.classifier.bias)  # pyright: ignore[reportArgumentType]  it has one

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        kept = []
        for level, convs in enumerate(self.down):
            x = convs(self.pool(x) if level else x)
            kept.append(x)
        for enlarge, convs, beside, crop in zip(
            self.enlarge, self.up, kept[-2::-1], self.crops, strict=True
        ):
            if crop:
                beside = beside[:, :, crop:-crop, crop:-crop, crop:-crop]
            x = convs(torch.cat([beside, enlarge(x)], dim=1))
        return self.classifier(x)

    def example(
        self, batch: int = 1, size: int | None = None, depth: int | None = None
    ) -> tuple[Tensor]:
        """Return random volumes, by default of the published size.

        Args:
            batch: number of volumes.
            size: side in voxels.
            depth: slices, if not as many.
        """
        sides = self.volume_size if size is None else (depth or size, size, size)
        return (torch.rand(batch, self.in_channels, *sides),)

    @classmethod
    def tiny(cls, *, in_channels: int = 1, num_classes: int = 5) -> "tuple[UNet3D, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(
            width=1 / 8, depth=2, padding="same", in_channels=in_channels, num_classes=num_classes
        )
        return model, model.example(batch=2, size=12)


def _conv_norm_relu(into: int, out: int, padding: str, norm_scale: bool) -> list[nn.Module]:
    norm = nn.BatchNorm3d(out)
    if not norm_scale:
        # A buffer of ones in its place: the layer stays torch's own, for tracing and folding.
        scale = norm.weight.detach()
        del norm.weight
        norm.register_buffer("weight", scale)
    return [nn.Conv3d(into, out, 3, padding=padding, bias=False), norm, nn.ReLU()]


register("unet3d", UNet3D, "segment")
register("unet3d_padded", UNet3D, padding="same")
