"""MobileNet V2 under the names of torchvision and timm."""

from torch import nn

from convatlas.models.classify.mobilenet_v2 import LAYOUT, InvertedResidual, MobileNetV2
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def torchvision_paths(model: MobileNetV2) -> list[tuple[str, str]]:
    """List layers of torchvision's `mobilenet_v2` and ours."""
    units = [(ours, unit) for _, _, ours, unit in layers_of(model.stages, InvertedResidual)]
    paths = conv_norm_paths("features.0.0", "features.0.1", "stages.0.0")
    for number, (ours, unit) in enumerate(units, start=1):
        theirs = f"features.{number}.conv"
        *activated, linear = _parts(unit)
        for k, part in enumerate(activated):
            paths += conv_norm_paths(f"{theirs}.{k}.0", f"{theirs}.{k}.1", f"{ours}.{part}")
        k = len(activated)
        paths += conv_norm_paths(f"{theirs}.{k}", f"{theirs}.{k + 1}", f"{ours}.{linear}")
    head = f"features.{len(units) + 1}"
    paths += conv_norm_paths(f"{head}.0", f"{head}.1", "head")
    return [*paths, ("classifier.1", "classifier.1")]


def timm_paths(model: MobileNetV2) -> list[tuple[str, str]]:
    """List layers of timm's `mobilenetv2_100` and its other widths, and ours."""
    numbers = [(s, i) for s, row in enumerate(LAYOUT) for i in range(row[2])]
    paths = conv_norm_paths("conv_stem", "bn1", "stages.0.0")
    paths += conv_norm_paths("conv_head", "bn2", "head")
    units = layers_of(model.stages, InvertedResidual)
    for (s, i), (_, _, ours, unit) in zip(numbers, units, strict=True):
        parts = _parts(unit)
        names = ("pw", "dw", "pwl") if len(parts) == 3 else ("dw", "pw")
        for k, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
            theirs = f"blocks.{s}.{i}"
            paths += conv_norm_paths(f"{theirs}.conv_{name}", f"{theirs}.bn{k}", f"{ours}.{part}")
    return [*paths, ("classifier", "classifier.1")]


def _parts(unit: InvertedResidual) -> list[str]:
    widened = not isinstance(unit.expand, nn.Identity)
    return ["expand", "filter", "project"] if widened else ["filter", "project"]
