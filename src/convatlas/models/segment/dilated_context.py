"""Dilated convolutions for segmentation: VGG-16 without its last poolings, and a context module.

Nothing is made small and enlarged again: from the fourth stage on, layers read pixels further apart
instead. The context module then reads scores from further and further away, each layer with a
filter of 3 x 3.

Source:  Yu, Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016,
         arXiv:1511.07122, section 4, table 1, and the authors' network definitions; the other heads
         from Chen et al., "DeepLab", 2016, arXiv:1606.00915.
Claims:  claims/dilated_context.toml
Differs: the loss reads enlarged scores, where the paper trains on every eighth pixel of the mask.
"""

from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.models.segment.bilinear import BilinearUpsample
from convatlas.models.segment.context_module import FORMS, ContextModule
from convatlas.models.segment.segmenter import Segmenter
from convatlas.models.segment.vgg_front_end import VGGFrontEnd

CONTEXTS = ("none", *FORMS)


class DilatedContext(Segmenter):
    """Segmenter of images.

    Args:
        context: module behind the front end: `basic`, `large`, or `none`.
        context_layers: of it: 7 (KITTI), 8 (Pascal VOC, CamVid) or 10 (Cityscapes).
        context_padding: zeros around the scores: before each layer (`each`), or `once` for all, as
            for Pascal VOC.
        start: weights that the module begins with: `identity` as published, `exact`, whose large
            form copies the scores in their size, or `random`.
        head: of the front end: `dense`, VGG-16's own layers; DeepLab's `large_fov`, or `aspp`,
            which needs padding `same`.
        padding: `valid` as published: at each side 186 pixels are seen and not answered for; `same`
            fills the maps with zeros and answers for the whole image.
        width: multiplies every channel count of the front end.
        in_channels: channels of the image.
        num_classes: of a pixel.
        dropout: share of the values zeroed behind fc6 and fc7 in training.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h - 372, w - 372) logits; h and w a multiple
        of 8 plus 4, from 380 up. With padding `same`, (n, num_classes, h, w), multiples of 8.
    """

    def __init__(
        self,
        *,
        context: str = "basic",
        context_layers: int = 8,
        context_padding: str = "each",
        start: str = "identity",
        head: str = "dense",
        padding: str = "valid",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 21,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_option("DilatedContext", "context", context, CONTEXTS)
        self.in_channels, self.num_classes, self.head = in_channels, num_classes, head
        self.front_end = VGGFrontEnd(
            in_channels, num_classes, head=head, padding=padding, width=width, dropout=dropout
        )
        self.context: nn.Module = nn.Identity()
        if context != "none":
            self.context = ContextModule(
                num_classes,
                layers=context_layers,
                form=context,
                padding=context_padding,
                start=start,
            )
        self.upsample = BilinearUpsample(num_classes, self.front_end.stride)
        self.size_multiple = self.front_end.stride
        if padding == "valid":
            self.margin = self.front_end.margin
            self.size_offset = 2 * self.margin % self.size_multiple
        self.image_size = self.input_length(528)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.upsample(self.context(self.front_end(x)))

    def backbone_paths(self) -> dict[str, str]:
        """Return where the parts of VGG-16 stand in the front end.

        Its first two linear layers are fc6 and fc7 as convolutions, unless a head has other ones.
        """
        paths = {"stages": "front_end.stages"}
        if self.head == "dense":
            paths |= {f"classifier.{i}": f"front_end.heads.0.{i}" for i in (0, 3)}
        return paths

    example = image_example("image_size")
    tiny = tiny_build(64, width=1 / 32, padding="same")


register("dilated_front_end", DilatedContext, "segment", context="none")
register("dilated_context", DilatedContext, context_padding="once")
register("dilated_context_large", DilatedContext, context="large", context_padding="once")
register("dilated_context_camvid", DilatedContext, num_classes=11)
register("dilated_context_kitti", DilatedContext, context_layers=7, num_classes=11)
register("dilated_context_cityscapes", DilatedContext, context_layers=10, num_classes=19)
register("dilated_front_end_padded", DilatedContext, context="none", padding="same")
register("dilated_context_padded", DilatedContext, padding="same")
register("deeplab_large_fov", DilatedContext, context="none", head="large_fov", padding="same")
register("deeplab_aspp", DilatedContext, context="none", head="aspp", padding="same")
