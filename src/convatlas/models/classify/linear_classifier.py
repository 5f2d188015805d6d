"""Linear classifier: one weight a pixel and class, the baseline that a convolution must beat.

Source:  LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of
         the IEEE 86(11), 1998, section III (its MNIST error).
Claims:  claims/linear_classifier.toml
"""

from torch import Tensor, nn

from convatlas.blocks import check_exact_image
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


class LinearClassifier(nn.Module):
    """Image classifier: flatten, multiply, add.

    Args:
        in_channels: channels of the image.
        num_classes: length of the output.
        size: height and width of the image, or one number for a square; fixed from then on.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w exactly `size`.

    Cost: in_channels * h * w * num_classes multiply-adds.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        size: int | tuple[int, int] = 28,
    ):
        super().__init__()
        self.in_channels = in_channels
        height, width = (size, size) if isinstance(size, int) else size
        self.exact_size = (height, width)
        self.min_size = min(self.exact_size)
        self.classifier = nn.Linear(in_channels * height * width, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        check_exact_image(x, "LinearClassifier", channels=self.in_channels, size=self.exact_size)
        return self.classifier(x.flatten(1))

    example = image_example("exact_size")
    tiny = tiny_build(in_channels=1, size=(8, 9))


register("linear_classifier", LinearClassifier, "classify")
register("linear_classifier_cifar", LinearClassifier, "classify", in_channels=3, size=32)
