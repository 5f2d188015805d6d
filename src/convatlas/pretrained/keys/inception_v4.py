"""Inception v4 and Inception-ResNet v2 under timm's names."""

from collections.abc import Iterator

from torch import nn

from convatlas.blocks import Branches, ConvNormAct
from convatlas.models.classify.inception_v4 import InceptionV4
from convatlas.models.classify.inception_v4_resnet import InceptionResNet, ResidualBranches

IR_STEM = ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a")


def timm_paths(model: InceptionV4 | InceptionResNet) -> list[tuple[str, str]]:
    """List layers of timm's `inception_v4` or `inception_resnet_v2` and ours."""
    if isinstance(model, InceptionV4):
        return _inception_v4_paths(model)
    return _inception_resnet_v2_paths(model)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """List path and layer, stage after stage, without poolings."""
    stages = model.get_submodule("stages")
    for s, stage in enumerate(stages.children()):
        for i, layer in enumerate(stage.children()):
            if list(layer.parameters()):
                yield f"stages.{s}.{i}", layer


def _inception_v4_paths(model: InceptionV4) -> list[tuple[str, str]]:
    paths = [("last_linear", "classifier.1")]
    for number, (ours, layer) in enumerate(_layers(model)):
        theirs = f"features.{number}"
        if isinstance(layer, Branches):
            paths += _branches_paths(theirs, ours, layer)
        else:
            paths += _conv_paths(theirs, ours)
    return paths


def _inception_resnet_v2_paths(model: InceptionResNet) -> list[tuple[str, str]]:
    paths = [*_conv_paths("conv2d_7b", "head"), ("classif", "classifier.1")]
    stem, whole = iter(IR_STEM), iter(("mixed_5b", "mixed_6a", "mixed_7a"))
    repeated = iter(("repeat", "repeat_1", "repeat_2"))
    residual = ""
    number = 0
    for ours, layer in _layers(model):
        if isinstance(layer, ResidualBranches):
            linear = isinstance(layer.act, nn.Identity)
            theirs = "block8" if linear else f"{residual}.{number}"
            number += 1
            paths += _branches_paths(theirs, f"{ours}.residue.0", layer.residue[0])
            paths.append((f"{theirs}.conv2d", f"{ours}.residue.1"))
        elif isinstance(layer, Branches):
            paths += _branches_paths(next(whole), ours, layer)
            residual, number = next(repeated), 0
        else:
            paths += _conv_paths(next(stem), ours)
    return paths


def _branches_paths(theirs: str, ours: str, branches: nn.Module) -> list[tuple[str, str]]:
    """List a module: there a branch of one layer has no number, one convolution no branch."""
    paths = []
    convolutions = [m for m in branches.modules() if isinstance(m, ConvNormAct)]
    for b, branch in enumerate(branches.children()):
        forked = any(isinstance(layer, Branches) for layer in branch.children())
        alone = len(list(branch.children())) == 1
        for k, layer in enumerate(branch.children()):
            path = f"{ours}.{b}.{k}"
            if isinstance(layer, Branches):
                for side in range(len(layer)):
                    name = f"{theirs}.branch{b}_{k}{'ab'[side]}"
                    paths += _conv_paths(name, f"{path}.{side}.0")
            elif isinstance(layer, ConvNormAct):
                name = f"branch{b}" if alone else f"branch{b}{'_' if forked else '.'}{k}"
                name = "conv" if len(convolutions) == 1 else name
                paths += _conv_paths(f"{theirs}.{name}", path)
    return paths


def _conv_paths(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [(f"{theirs}.conv", f"{ours}.0"), (f"{theirs}.bn", f"{ours}.1")]
