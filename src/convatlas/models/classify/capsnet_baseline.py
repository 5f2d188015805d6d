"""The two ordinary networks that CapsNet was held against: convolutions and fully connected layers.

Source:  Sabour, Frosst, Hinton, NIPS 2017, arXiv:1710.09829, sections 5 and 6.
Claims:  claims/capsnet.toml
Differs: convolutions are padded to keep their size, which gives the printed counts of parameters;
         dropout is 0.5, because the paper does not state its rate.
"""

from torch import Tensor, nn

from convatlas.blocks import check_exact_image, check_option
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

FORMS = {  # channels and kernel of each convolution, halved by pooling?, fully connected units
    "mnist": (((256, 5), (256, 5), (128, 5)), False, (328, 192)),
    "multimnist": (((512, 9), (256, 5)), True, (1024,)),
}


class CapsNetBaseline(nn.Module):
    """Image classifier for one image size.

    Args:
        form: "mnist", three convolutions; or "multimnist", two, each pooled by 2 x 2.
        size: height and width of the image.
        width: multiplies every count of channels and units.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the last features zeroed in training.

    Shape: (n, in_channels, size, size) -> (n, num_classes) logits

    Raises:
        UsageError: an unknown form, or a size too small for its poolings.
    """

    def __init__(
        self,
        *,
        form: str = "mnist",
        size: int = 28,
        width: float = 1.0,
        in_channels: int = 1,
        num_classes: int = 10,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_option("CapsNetBaseline", "form", form, FORMS)
        convolutions, pooled, hidden = FORMS[form]
        smallest = 2 ** len(convolutions) if pooled else 1
        if size < smallest:
            raise UsageError(f"CapsNetBaseline: size must be from {smallest} up, got {size}")
        self.in_channels, self.exact_size = in_channels, (size, size)
        channels, side = in_channels, size
        features: list[nn.Module] = []
        for base, kernel in convolutions:
            out = _scaled(base, width)
            features += [nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU()]
            if pooled:
                features.append(nn.MaxPool2d(2))
                side //= 2
            channels = out
        self.features = nn.Sequential(*features)
        units = channels * side * side
        layers: list[nn.Module] = []
        for base in hidden:
            layers += [nn.Linear(units, _scaled(base, width)), nn.ReLU()]
            units = _scaled(base, width)
        self.classifier = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(units, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_exact_image(x, "CapsNetBaseline", channels=self.in_channels, size=self.exact_size)
        return self.classifier(self.features(x).flatten(1))

    example = image_example("exact_size")
    tiny = tiny_build(size=12, width=0.0625)


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


register("capsnet_baseline", CapsNetBaseline, "classify")
register(
    "capsnet_baseline_multimnist",
    CapsNetBaseline,
    "classify",
    form="multimnist",
    size=36,
    dropout=0.0,
)
