"""MobileNet under timm's names, whose networks have ReLU6: build ours with `relu6=True`."""

from convatlas.models.classify.mobilenet_v1 import MobileNetV1, SeparableUnit
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def timm_paths(model: MobileNetV1) -> list[tuple[str, str]]:
    """List layers of timm's `mobilenetv1_100` and its other widths, and ours."""
    paths = [*conv_norm_paths("conv_stem", "bn1", "stages.0.0"), ("classifier", "classifier")]
    for s, i, ours, _ in layers_of(model.stages, SeparableUnit):
        theirs = f"blocks.{s}.{i}"
        paths += conv_norm_paths(f"{theirs}.conv_dw", f"{theirs}.bn1", f"{ours}.0")
        paths += conv_norm_paths(f"{theirs}.conv_pw", f"{theirs}.bn2", f"{ours}.1")
    return paths
