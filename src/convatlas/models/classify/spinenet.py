"""SpineNet: blocks of different scales in an order that was searched, connected across scales.

A backbone that only ever halves its maps loses where things are, and has to be mended by a pyramid
behind it. Here scales go up and down along the way, and every block reads two earlier ones.

Source:  Du et al., CVPR 2020, arXiv:1912.05027, figure 5 and table 1; the mobile forms from the
         authors' repository.
Claims:  claims/spinenet.toml
Differs: maps need not be multiples of 128 pixels: nearest neighbours go to the size of the finer
         map. Stochastic depth (protocol C) is left out. See `spinenet_graphs` for the ladder of
         permuted ResNets.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import check_image
from convatlas.models.classify.spinenet_backbone import SpineNetBackbone, mean_map
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


class SpineNet(nn.Module):
    """Image classifier: the mean of the five maps, pooled.

    Args:
        form: `49s`, `49`, `96`, `143`, `143l` or `190`; `49xs_mobile`, `49s_mobile` or `49_mobile`;
            or one of the ladder `r35_sp18`, `r23_sp30`, `r14_sp39`, `r0_sp53`.
        width: multiplies every channel count on top of the form's own scale.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels. Mobile forms take 2, as published, or 1.
        swish: swish instead of ReLU, as in the longest training (protocol C).

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "49",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        swish: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.backbone = SpineNetBackbone(
            form=form, width=width, in_channels=in_channels, stem_stride=stem_stride, swish=swish
        )
        self.classifier = nn.Linear(self.backbone.feature_channels[0], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SpineNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(mean_map(self.backbone(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(32, width=0.125)


for _form in ("49s", "49", "96", "143", "190"):
    register(f"spinenet{_form}", SpineNet, "classify", form=_form)
for _form in ("49xs_mobile", "49s_mobile", "49_mobile"):
    register(f"spinenet{_form}", SpineNet, "classify", form=_form, stem_stride=2)
