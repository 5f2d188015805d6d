"""Squeeze and excitation behind each module of networks that are no ResNets.

The network of the other paper is built as it is, and a gate is put behind each of its modules: on
the joined branches of an Inception module, behind the 1 x 1 convolution of a MobileNet unit.

Source:  Hu, Shen, Sun, Albanie, Wu, TPAMI 2020, arXiv:1709.01507, section 3.3, figure 2, and tables
         2 and 3.
Claims:  claims/senet.toml
"""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from convatlas.blocks import Branches, TrainingOutputs, check_image
from convatlas.models.classify.bn_inception import BNInception
from convatlas.models.classify.inception_v3 import InceptionV3
from convatlas.models.classify.mobilenet_v1 import MobileNetV1, SeparableUnit
from convatlas.models.classify.shufflenet_v1 import ShuffleNetV1
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite


def with_gates(stages: nn.Sequential, *, reduction: int) -> nn.Sequential:
    """Return the same layers in the same stages, with a gate behind each module.

    Args:
        reduction: channels over hidden units; a module with fewer channels gets one hidden unit.

    Shape: as the stages
    """
    return nn.Sequential(
        *(nn.Sequential(*_gated(stage, reduction=reduction)) for stage in stages.children())
    )


def _gated(stage: nn.Module, *, reduction: int) -> Iterator[nn.Module]:
    for layer in stage.children():
        yield layer
        if isinstance(layer, Branches | SeparableUnit):
            channels = _out_channels(layer)
            yield SqueezeExcite(channels, reduction=min(reduction, channels))


def _out_channels(module: Branches | SeparableUnit) -> int:
    if isinstance(module, Branches):
        return module.out_channels
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)][-1].num_features


def _stages_inside(model: nn.Module) -> nn.Sequential:
    """Return the stages of the network inside, for `features_only`."""
    return model.network.stages  # pyright: ignore[reportAttributeAccessIssue, reportReturnType]


class SEInceptionV3(nn.Module):
    """Image classifier: Inception v3 with a gate behind each of its modules.

    Args:
        reduction: channels over hidden units of squeeze and excitation.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 8 as published; 4, 2 or 1 leave out halvings, the last first.
        auxiliary: build the classifier that helps training; evaluation never runs it.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up, as for
        Inception v3.
    """

    def __init__(
        self,
        *,
        reduction: int = 16,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 8,
        auxiliary: bool = False,
    ):
        super().__init__()
        self.network = InceptionV3(
            width=width,
            in_channels=in_channels,
            num_classes=num_classes,
            dropout=dropout,
            stem_stride=stem_stride,
            auxiliary=auxiliary,
        )
        self.network.stages = with_gates(self.network.stages, reduction=reduction)
        self.in_channels, self.min_size = in_channels, self.network.min_size

    stages = property(_stages_inside)

    def forward(self, x: Tensor) -> Tensor | TrainingOutputs:
        check_image(x, "SEInceptionV3", channels=self.in_channels, min_size=self.min_size)
        return self.network(x)

    def loss(
        self,
        outputs: Tensor | TrainingOutputs,
        target: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Return the loss of Inception v3."""
        return self.network.loss(outputs, target, criterion)

    example = image_example(299)
    tiny = tiny_build(48, reduction=4, width=0.125, stem_stride=2, auxiliary=True)


class SEBNInception(nn.Module):
    """Image classifier: Inception with batch norm, with a gate behind each of its modules.

    Args:
        reduction: channels over hidden units of squeeze and excitation.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training; none as published.
        stem_stride: 8 as published; 4, 2 or 1 leave out halvings, the last first.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    def __init__(
        self,
        *,
        reduction: int = 16,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        stem_stride: int = 8,
    ):
        super().__init__()
        self.network = BNInception(
            width=width,
            in_channels=in_channels,
            num_classes=num_classes,
            dropout=dropout,
            stem_stride=stem_stride,
        )
        self.network.stages = with_gates(self.network.stages, reduction=reduction)
        self.in_channels, self.min_size = in_channels, self.network.min_size

    stages = property(_stages_inside)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SEBNInception", channels=self.in_channels, min_size=self.min_size)
        return self.network(x)

    example = image_example(224)
    tiny = tiny_build(64, reduction=4, width=0.125)


class SEMobileNetV1(nn.Module):
    """Image classifier: MobileNet with a gate behind each of its separable units.

    Args:
        reduction: channels over hidden units of squeeze and excitation.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    def __init__(
        self,
        *,
        reduction: int = 16,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 2,
    ):
        super().__init__()
        self.network = MobileNetV1(
            width=width, in_channels=in_channels, num_classes=num_classes, stem_stride=stem_stride
        )
        self.network.stages = with_gates(self.network.stages, reduction=reduction)
        self.in_channels, self.min_size = in_channels, self.network.min_size

    stages = property(_stages_inside)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SEMobileNetV1", channels=self.in_channels, min_size=self.min_size)
        return self.network(x)

    example = image_example(224)
    tiny = tiny_build(64, reduction=4, width=0.25)


register("se_inception_v3", SEInceptionV3, "classify")
register("se_bn_inception", SEBNInception, "classify")
register("se_mobilenet_v1", SEMobileNetV1, "classify")
register("se_shufflenet_v1_g3", ShuffleNetV1, "classify", groups=3, gated=True)
