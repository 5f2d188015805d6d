"""Darknet-53 under the names of timm, whose weights need `slope=0.01`."""

from convatlas.models.classify.darknet import Darknet53
from convatlas.models.classify.darknet_units import Unit
from convatlas.pretrained.keys.layer_paths import conv_norm_paths


def timm_paths(model: Darknet53) -> list[tuple[str, str]]:
    """List layers of timm's `darknet53` and ours."""
    paths = timm_conv("stem.conv1", "stages.0.0")
    for s, stage in enumerate(list(model.stages)[1:], start=1):
        theirs = f"stages.{s - 1}"
        paths += timm_conv(f"{theirs}.conv_down", f"stages.{s}.0")
        units = sum(isinstance(m, Unit) for m in stage.modules())
        for i in range(units):
            paths += timm_unit(f"{theirs}.blocks.{i}", f"stages.{s}.{i + 1}")
    return [*paths, ("head.fc", "classifier")]


def timm_conv(theirs: str, ours: str) -> list[tuple[str, str]]:
    """List one convolution with its norm."""
    return conv_norm_paths(f"{theirs}.conv", f"{theirs}.bn", ours)


def timm_unit(theirs: str, ours: str) -> list[tuple[str, str]]:
    """List the two convolutions of a residual unit."""
    return [
        pair for k in (1, 2) for pair in timm_conv(f"{theirs}.conv{k}", f"{ours}.residue.{k - 1}")
    ]
