"""CSPDenseNet: half of a stage's channels pass its dense layers by.

Each stage splits its input by channel. The second part goes through the dense layers and a first
transition, meets the first part, and a second transition halves channels and size.

Before any training float16 overflows in evaluation, as in DenseNet (densenet.py says why).

Source:  Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, section 3.2 and figure 3.
Claims:  claims/cspnet.toml
Differs: no layer table is known here. What the rule leaves open was decided by the one published
         pair, CSPDenseNet-201-Elastic's 20.17M and 7.13 BFLOPs, among 72 choices counted: the first
         transition keeps its width, the second is DenseNet's own, the last stage has neither, and
         the Elastic form has the blocks of DenseNet-201: 20.25M and 7.25 BFLOPs. With the blocks of
         DenseNet-201-Elastic they are 19.34M and 10.2, with a first transition to as many maps as
         the layers add 20.39M and 6.95 (one in the last stage too), with one to half 14.2M and 7.3.
"""

from torch import Tensor, nn

from convatlas.blocks import check_image, check_option, draw_he_normal
from convatlas.models.classify.dense_layers import (
    COMPRESSION,
    DenseBlock,
    NormActConv,
    scaled,
    stem,
    transition,
)
from convatlas.models.classify.densenet import FORMS
from convatlas.models.classify.densenet_elastic import ElasticBlock
from convatlas.models.classify.partial_dense import PartialDense, check_partial
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


class CSPDenseNet(nn.Module):
    """Image classifier: DenseNet (BC) whose stages a share of the channels passes by.

    Args:
        depth: of the DenseNet that it is made from: 121, 161, 169, 201 or 264.
        elastic: layers that look at full and at half size, as in DenseNet-201-Elastic.
        partial: share of a stage's channels that passes its layers by, from 0 to below 1.
        fusion: where the two parts meet: `csp` has a transition before and one after it, `first`
            only the one after, `last` only the one before, which then makes fewer maps instead.
        width: multiplies the growth and, with it, every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 and 8 with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        depth: int = 121,
        elastic: bool = False,
        partial: float = 0.5,
        fusion: str = "csp",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("CSPDenseNet", "depth", depth, FORMS)
        check_partial("CSPDenseNet", partial, fusion)
        self.in_channels = in_channels
        # Three transitions need two pixels for one; the stem rounds up.
        self.min_size = 7 * stem_stride + 1
        growth, repeats = FORMS[depth]
        growth = scaled(growth, width)
        channels = 2 * growth
        stages = stem(in_channels, channels, stem_stride, "CSPDenseNet")
        for index, layers in enumerate(repeats):
            last = index == len(repeats) - 1
            past = int(channels * partial)
            start = channels - past
            if elastic:
                block = ElasticBlock(start, growth, layers, far=not last)
            else:
                block = DenseBlock(start, growth, layers)
            channels = past + block.out_channels
            through: list[nn.Module] = [block]
            if last:
                stages[-1] += [PartialDense(past, block), nn.BatchNorm2d(channels), nn.ReLU()]
                break
            half = int(channels * COMPRESSION)
            kept = block.out_channels
            if fusion != "first":
                kept = kept if fusion == "csp" else max(1, half - past)
                through.append(NormActConv(block.out_channels, kept, 1))
            stages[-1].append(PartialDense(past, nn.Sequential(*through)))
            if fusion == "last":
                channels = past + kept
                stages.append([nn.AvgPool2d(2)])
            else:
                stages.append([transition(channels, half)])
                channels = half
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "CSPDenseNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125)


for _depth in (121, 169, 201, 264):
    register(f"cspdensenet{_depth}", CSPDenseNet, "classify", depth=_depth)
register("cspdensenet201_elastic", CSPDenseNet, "classify", depth=201, elastic=True)
