"""ConvNeXt under the names of torchvision and timm."""

from convatlas.models.classify.convnext import Block, ConvNeXt
from convatlas.pretrained.keys.layer_paths import layers_of

STEM = ("0", "1")  # convolution and norm
SQUARES = ("1", "0")  # between the stages the norm comes first


def torchvision_paths(model: ConvNeXt) -> list[tuple[str, str]]:
    """List layers of torchvision's `convnext_tiny` to `convnext_large` and ours."""
    paths = [("classifier.0", "norm"), ("classifier.2", "classifier")]
    for s in range(len(model.stages)):
        paths += [
            (f"features.{2 * s}.{k}", f"stages.{s}.0.{k}") for k in (STEM if s == 0 else SQUARES)
        ]
    names = {"block.0": "filter", "block.2": "norm", "block.3": "widen", "block.5": "narrow"}
    for s, i, ours, _ in layers_of(model.stages, Block):
        block = f"features.{2 * s + 1}.{i}"
        paths += [(f"{block}.{theirs}", f"{ours}.{name}") for theirs, name in names.items()]
        paths.append((f"{block}.layer_scale", f"{ours}.gamma"))
    return paths


def timm_paths(model: ConvNeXt) -> list[tuple[str, str]]:
    """List layers of timm's `convnext_tiny` to `convnext_xlarge` and ours."""
    paths = [("head.norm", "norm"), ("head.fc", "classifier")]
    for s in range(len(model.stages)):
        squares = f"stages.{s}.downsample" if s else "stem"
        paths += [(f"{squares}.{k}", f"stages.{s}.0.{k}") for k in (STEM if s == 0 else SQUARES)]
    names = {"conv_dw": "filter", "norm": "norm", "mlp.fc1": "widen", "mlp.fc2": "narrow"}
    for s, i, ours, _ in layers_of(model.stages, Block):
        block = f"stages.{s}.blocks.{i}"
        paths += [(f"{block}.{theirs}", f"{ours}.{name}") for theirs, name in names.items()]
        paths.append((f"{block}.gamma", f"{ours}.gamma"))
    return paths
