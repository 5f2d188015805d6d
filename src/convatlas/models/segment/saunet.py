"""SAUNet: a U-Net with a second stream that sees nothing but shape, and maps that explain it.

Convolutional networks like to judge by texture. Here a dense network reads textures; from its maps
a narrow stream of full resolution is made, whose gates let borders through, and which is trained to
draw the borders of the masks. The decoder sees both. Its attention maps, the gates and the borders
can be looked at (`maps`).

Source:  Sun, Darbehani, Zaidi, Wang, "SAUNet: Shape Attentive U-Net for Interpretable Medical Image
         Segmentation", MICCAI 2020, arXiv:2001.07645, and the authors' code.
Claims:  claims/sau_net.toml
Differs: Canny's edges are taken inside the network, of the mean of the channels stretched to 0..255
         for each image, and followed for `edge_steps` pixels at most (`canny.py`); the code takes
         them of the standardised image cast to 8 bits, where negative numbers wrap around.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import draw_he_normal, round_channels
from convatlas.errors import UsageError
from convatlas.models.classify.dense_layers import scaled
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.models.segment.canny import canny_edges, grey_levels
from convatlas.models.segment.dense_encoder import DenseEncoder
from convatlas.models.segment.dual_attention import ConvNormReLU, DualAttention, Enlarge
from convatlas.models.segment.mask_borders import mask_borders
from convatlas.models.segment.mask_losses import dice_loss, pixel_cross_entropy
from convatlas.models.segment.segmenter import IGNORED, Segmenter
from convatlas.models.segment.shape_stream import CHANNELS, ShapeStream

DECODER = (512, 512, 256, 128, 64, 48, 32)  # channels from the coarsest block to the finest
EPSILON = 1e-7  # keeps the quotient of the Dice loss from dividing by zero


class SAUNet(Segmenter):
    """Segmenter of images.

    Args:
        growth: maps that each dense layer of the texture stream adds.
        layers: of its four dense blocks; as published, those of DenseNet-121.
        width: multiplies the growth and every channel count.
        in_channels: channels of the image; the paper repeats a grey one three times.
        num_classes: of a pixel.
        class_weights: of the cross-entropy, one for each class; (1, 4, 5, 1) in the paper for
            background, right ventricle, myocardium, left ventricle.
        bias: of convolutions whose batch norm takes it out again; the published counts hold it.
        edge_steps: pixels by which Canny's edges are followed from where they are steep.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h, w) logits; h and w multiples of 32.

    Raises:
        UsageError: not four blocks, or not a weight for each class.
    """

    size_multiple = 32

    def __init__(
        self,
        *,
        growth: int = 32,
        layers: Sequence[int] = (6, 12, 24, 16),
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 4,
        class_weights: Sequence[float] | None = None,
        bias: bool = True,
        edge_steps: int = 32,
    ):
        super().__init__()
        if len(layers) != 4 or min(layers) < 1:
            raise UsageError(f"SAUNet: layers must be four numbers from 1 up, got {layers}")
        if class_weights is not None and len(class_weights) != num_classes:
            raise UsageError(
                f"SAUNet: class_weights must be {num_classes} numbers, got {len(class_weights)}"
            )
        self.in_channels, self.num_classes = in_channels, num_classes
        self.edge_steps = edge_steps
        self.class_weights = None if class_weights is None else tuple(class_weights)
        self.encoder = DenseEncoder(in_channels, scaled(growth, width), layers)
        _, c2, c3, c4, c5 = self.encoder.channels
        stream = [round_channels(c * width) for c in CHANNELS]
        center, d5, d4, d3, d2, d1, d0 = (round_channels(c * width) for c in DECODER)
        self.shape = ShapeStream((c2, c3, c4, c5), stream, bias=bias)
        self.edge_weight = nn.Conv2d(2, 1, 1, bias=False)
        self.edge_maps = nn.Sequential(
            nn.Conv2d(1, d0, 1, bias=bias), nn.BatchNorm2d(d0), nn.ReLU()
        )
        self.finer = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.center = nn.Sequential(nn.MaxPool2d(2), ConvNormReLU(c5, center, bias))
        self.decoder = nn.ModuleList(
            DualAttention(below, beside, out, bias=bias)
            for below, beside, out in ((center, c5, d5), (d5, c4, d4), (d4, c3, d3), (d3, c2, d2))
        )
        self.finest = nn.Sequential(ConvNormReLU(d2, d1, bias), Enlarge(d1, d0, bias))
        self.last = ConvNormReLU(2 * d0, d0, bias)
        self.classifier = nn.Conv2d(d0, num_classes, 1)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x)[0]

    def losses(self, images: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Return cross-entropy, Dice loss and the binary cross-entropy of the borders.

        Source: section 2.4; each has the weight 1, as in the authors' code.

        Shape: images (n, in_channels, h, w), masks (n, h, w) int64 classes, `IGNORED` where a pixel
            has none -> three numbers
        """
        logits, border_logits, _ = self._run(images)
        weights = self.class_weights
        known = (masks != IGNORED).to(logits.dtype)
        borders = mask_borders(masks, IGNORED).to(logits.dtype)
        edge = F.binary_cross_entropy_with_logits(border_logits[:, 0], borders, reduction="none")
        return {
            "cross_entropy": pixel_cross_entropy(
                logits,
                masks,
                class_weights=None if weights is None else logits.new_tensor(weights),
            ),
            # A class that the batch does not hold counts as missed, as in the authors' code.
            "dice": dice_loss(logits, masks, smooth=EPSILON),
            "edge": (edge * known).sum() / known.sum().clamp(min=1),
        }

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Return what the network has looked at, each map (n, 1, h', w') from 0 to 1.

        `edge`: borders that the shape stream sees; `canny`: edges of the image; `edge_attention`:
        both together, as the decoder reads them; `gate1` to `gate3`: where the shape stream lets
        through; `attention1` to `attention4`: places that the decoder attends to, from a sixteenth
        of the resolution to a half. The others have the image's resolution.
        """
        return self._run(images)[2]

    def backbone_paths(self) -> dict[str, str]:
        """Return where the parts of DenseNet-121 stand in the texture stream.

        Its transitions begin the stages behind them; its first pooling, a stage of its own with the
        first block, has no weights.
        """
        paths = {"stages.0.0.0": "encoder.conv1.0", "stages.0.0.1": "encoder.conv1.1"}
        paths |= {"stages.1.1": "encoder.conv2.0"}
        for i in (2, 3, 4):
            paths[f"stages.{i}.0"] = f"encoder.conv{i}.1"
            paths[f"stages.{i}.1"] = f"encoder.conv{i + 1}.0"
        return paths | {"stages.4.2": "encoder.conv5.1"}

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the logits of the classes, those of the borders, and the maps."""
        self.check(x)
        _, c2, c3, c4, c5 = self.encoder(x)
        border_logits, gates = self.shape((c2, c3, c4, c5))
        edge, canny = (
            torch.sigmoid(border_logits),
            canny_edges(grey_levels(x), steps=self.edge_steps),
        )
        seen = torch.sigmoid(self.edge_weight(torch.cat([edge, canny], dim=1)))
        maps = {"edge": edge, "canny": canny, "edge_attention": seen}
        maps |= {f"gate{i}": gate for i, gate in enumerate(gates, start=1)}
        y = self.center(c5)
        texture = (c5, self.finer(c4), self.finer(c3), self.finer(c2))
        for i, (block, beside) in enumerate(zip(self.decoder, texture, strict=True), start=1):
            y, maps[f"attention{i}"] = block(y, beside)
        y = self.last(torch.cat([self.finest(y), self.edge_maps(seen)], dim=1))
        return self.classifier(y), border_logits, maps

    example = image_example(256)
    tiny = tiny_build(64, growth=64, layers=(1, 1, 1, 1), width=1 / 16, bias=False, edge_steps=2)


register("saunet", SAUNet, "segment")
register("saunet_small", SAUNet, growth=64, layers=(4, 4, 4, 4), width=0.125, bias=False)
