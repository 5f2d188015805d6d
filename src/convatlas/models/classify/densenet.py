"""DenseNet: each layer reads the maps of all layers before it in its block.

A layer adds only a few maps of its own (the growth), because nothing that earlier layers found must
be repeated; the gradient reaches every layer by a short way.

Before any training the batch norms have seen no image, so that in evaluation values grow from layer
to layer: measured on noise, to 1e6 in depth 121 and 3e14 in depth 264. float16 ends at 65,504 and
gives infinity; it is finite once a batch has passed in training mode, or with public weights.

Source:  Huang et al., CVPR 2017, arXiv:1608.06993, table 1; the memory-efficient form from Pleiss
         et al., 2017, arXiv:1707.06990.
Claims:  claims/densenet.toml
"""

from torch import Tensor, nn

from convatlas.blocks import check_image, check_option, draw_he_normal
from convatlas.models.classify.dense_layers import DenseBlock, dense_stages, scaled, stem
from convatlas.models.example import Size, image_example, tiny_build
from convatlas.models.registry import register

FORMS = {  # table 1: growth, layers in each of the four blocks
    121: (32, (6, 12, 24, 16)),
    161: (48, (6, 12, 36, 24)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
    264: (32, (6, 12, 64, 48)),
}


class DenseNet(nn.Module):
    """Image classifier, the form for ImageNet: bottlenecks, and transitions that keep half (BC).

    Args:
        depth: 121, 161, 169, 201 or 264 weighted layers; 161 grows by 48 maps a layer, not 32.
        width: multiplies the growth and, with it, every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values zeroed after each convolution of the blocks and transitions.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.
        image_size: side of the image that `example` makes, or its height and width.
        memory_efficient: in training, make the concatenations and their norms anew in the backward
            pass instead of keeping them; same outputs and gradients, less memory, more time.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 and 8 with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        depth: int = 121,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        stem_stride: int = 4,
        image_size: Size = 224,
        memory_efficient: bool = False,
    ):
        super().__init__()
        check_option("DenseNet", "depth", depth, FORMS)
        self.in_channels, self.image_size = in_channels, image_size
        # Three transitions need two pixels for one; the stem rounds up.
        self.min_size = 7 * stem_stride + 1
        growth, repeats = FORMS[depth]
        growth = scaled(growth, width)
        first = stem(in_channels, 2 * growth, stem_stride, "DenseNet")

        def new_block(channels: int, index: int, layers: int) -> DenseBlock:
            return DenseBlock(
                channels, growth, layers, dropout=dropout, memory_efficient=memory_efficient
            )

        self.stages, channels = dense_stages(
            first, 2 * growth, growth, repeats, new_block, dropout=dropout
        )
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DenseNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example("image_size")
    tiny = tiny_build(64, width=0.125)


for _depth in FORMS:
    register(f"densenet{_depth}", DenseNet, "classify", depth=_depth)
