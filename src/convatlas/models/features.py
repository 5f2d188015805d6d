"""The maps inside a classifier, for detectors, segmenters and other networks on a backbone."""

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.on_shapes import run_on_shapes


def feature_maps(model: nn.Module, name: str) -> nn.Module:
    """Return what gives the maps inside a classifier: a part of its own, or its stages.

    Args:
        model: a classifier. If its maps are no chain of stages, it has a part called `backbone`
            that returns them, with `feature_channels` and `feature_strides`.
        name: of the network, for the message.

    Raises:
        UsageError: the network has neither.
    """
    own = getattr(model, "backbone", None)
    if isinstance(own, nn.Module) and hasattr(own, "feature_channels"):
        return own
    return FeatureMaps(model, name)


class FeatureMaps(nn.Module):
    """Run the stages of a classifier and return the output of each.

    A backbone holds `stages`, an `nn.Sequential` whose children each end where the resolution
    is about to halve. Its head is left out, so its parameters are not carried along.

    Shape: (n, in_channels, h, w) -> list of (n, feature_channels[i], about h / feature_strides[i],
    about w / feature_strides[i]), coarsest last

    Raises:
        UsageError: the network has no stages.
    """

    def __init__(self, model: nn.Module, name: str):
        super().__init__()
        stages = getattr(model, "stages", None)
        if not isinstance(stages, nn.Sequential):
            raise UsageError(f"create_model: {name} has no feature maps (features_only=True)")
        self.stages = stages
        self.feature_channels, self.feature_strides = _measure(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def _measure(stages: nn.Sequential) -> tuple[list[int], list[int]]:
    """Read channels and strides off one run on shapes alone."""
    first = next(m for m in stages.modules() if isinstance(m, nn.Conv2d))
    size = 16384  # a large power of two, so that borders without padding do not move the quotient
    x = torch.empty(1, first.in_channels, size, size, device="meta")
    channels, strides = [], []
    for stage in stages:
        x = run_on_shapes(stage, x)
        channels.append(x.shape[1])
        strides.append(round(size / x.shape[2]))
    return channels, strides
