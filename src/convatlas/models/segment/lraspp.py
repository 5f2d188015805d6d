"""LR-ASPP: a small head on a network of the MobileNet line, for a class at each pixel.

The coarsest maps are mixed by one 1 x 1 convolution and weighed by what the whole image shows;
their scores are enlarged and added to those of finer maps, at an eighth of the image's sides.

Source:  Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.4 and
         figure 10.
Claims:  claims/lraspp.toml
Differs: weights by the mean of the whole image, as torchvision has it, where the paper takes means
         of 49 x 49 pixels at steps of 16 x 20. The finer maps are those behind the first unit of
         stride 8, as there; but the filter that would have halved the maps keeps its neighbours, as
         in the authors' code, and only those behind it are spread.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models.dilation import set_output_stride
from convatlas.models.example import image_example, tiny_build
from convatlas.models.features import feature_maps
from convatlas.models.registry import create_model, find_entry, register
from convatlas.models.segment.segmenter import Segmenter

FINE, COARSE = 8, 16  # pixels of the image for one of the maps that are read
HIDDEN = 128  # channels that the coarse maps are mixed into
MIN_MIXED = 8


class LRASPP(Segmenter):
    """Segmenter of images.

    Args:
        backbone: a network of the atlas with stages, at a stride of 32 in all.
        width: multiplies the channels of the backbone and of the mixed maps.
        halved: half as many channels behind the last stride; MobileNet V3 only.
        last: read the convolution behind the stages as well, as MobileNet V3's tables have it.
        hidden: channels that the coarse maps are mixed into, at width 1.
        in_channels: of the image.
        num_classes: of a pixel.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h / 8, w / 8) logits; h and w multiples of 8.

    Raises:
        UsageError: the backbone has no such stages.
    """

    output_stride = FINE
    size_multiple = FINE

    def __init__(
        self,
        *,
        backbone: str = "mobilenet_v3_large",
        width: float = 1.0,
        halved: bool = False,
        last: bool = False,
        hidden: int = HIDDEN,
        in_channels: int = 3,
        num_classes: int = 21,
    ):
        super().__init__()
        self.in_channels, self.num_classes, self.reads_last = in_channels, num_classes, last
        options: dict[str, Any] = {"in_channels": in_channels}
        options |= {"width": width} if width != 1 else {}
        options |= {"halved": True} if halved else {}
        # A classifier is not needed: it is built as small as it can be.
        known = find_entry(backbone).defaults
        options |= {key: v for key, v in {"num_classes": 1, "head": 1}.items() if key in known}
        body = create_model(backbone, **options)
        strides, channels = _maps(feature_maps(body, backbone))
        if FINE not in strides or strides[-1] <= FINE:
            raise UsageError(
                f"LRASPP: backbone must have maps at stride {FINE} and coarser ones, got {backbone}"
            )
        set_output_stride(body, COARSE, backbone)
        stages = body.get_submodule("stages")
        assert isinstance(stages, nn.Sequential)
        place = strides.index(FINE)
        fine = stages[place]
        if not isinstance(fine, nn.Sequential):
            raise UsageError(f"LRASPP: backbone must have stages of several units, got {backbone}")
        self.stages, self.place, coarse = stages, place, channels[-1]
        if last:
            self.last = body.get_submodule("head")
            coarse = next(m for m in self.last.modules() if isinstance(m, nn.Conv2d)).out_channels
        hidden = max(MIN_MIXED, round(hidden * width))
        self.mix = nn.Sequential(
            nn.Conv2d(coarse, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(coarse, hidden, 1, bias=False), nn.Sigmoid()
        )
        self.fine_scores = nn.Conv2d(channels[place], num_classes, 1)
        self.coarse_scores = nn.Conv2d(hidden, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        fine = x
        for place, stage in enumerate(self.stages):
            if place == self.place:
                units = list(stage.children())
                fine = x = units[0](x)
                for unit in units[1:]:
                    x = unit(x)
            else:
                x = stage(x)
        if self.reads_last:
            x = self.last(x)
        x = self.mix(x) * self.weigh(x)
        x = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=False)
        return self.fine_scores(fine) + self.coarse_scores(x)

    def backbone_paths(self) -> dict[str, str]:
        """Return where the parts of the classifier stand in the network."""
        return {"stages": "stages"} | ({"head": "last"} if self.reads_last else {})

    example = image_example(512)
    tiny = tiny_build(64, backbone="mobilenet_v3_small", width=0.35)


def _maps(network: nn.Module) -> tuple[list[int], list[int]]:
    """Return strides and channels of a backbone's stages."""
    return network.feature_strides, network.feature_channels  # pyright: ignore[reportReturnType]


register("lraspp_mobilenet_v3_large", LRASPP, "segment", last=True)
register("lraspp_mobilenet_v3_small", LRASPP, backbone="mobilenet_v3_small", last=True)
register("lraspp_mobilenet_v3_large_halved", LRASPP, halved=True, last=True)
register(
    "lraspp_mobilenet_v3_small_halved",
    LRASPP,
    backbone="mobilenet_v3_small",
    halved=True,
    last=True,
)
register("lraspp_mobilenet_v2", LRASPP, backbone="mobilenet_v2")
register("lraspp_efficientnet_lite0", LRASPP, backbone="efficientnet_lite0")
