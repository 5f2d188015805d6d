"""Our layers in the order in which an image meets them, numbered as peers number theirs."""

from collections.abc import Iterator
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


def layers_of(stages: nn.Module, kind: type[Layer]) -> Iterator[tuple[int, int, str, Layer]]:
    """Yield (stage, number among its kind in the stage, path, layer) of each layer of a kind."""
    for s, (_, stage) in enumerate(stages.named_children()):
        found = ((i, layer) for i, layer in enumerate(stage.children()) if isinstance(layer, kind))
        for number, (i, layer) in enumerate(found):
            yield s, number, f"stages.{s}.{i}", layer


def conv_norm_paths(conv: str, norm: str, ours: str) -> list[tuple[str, str]]:
    """List a convolution and its norm in the peer, and the `ConvNormAct` that holds both."""
    return [(conv, f"{ours}.0"), (norm, f"{ours}.1")]


def residual_paths(theirs: str, ours: str, *, convs: int, projects: bool) -> list[tuple[str, str]]:
    """List layers of a residual unit, as torchvision and timm number them, and ours.

    Args:
        convs: convolutions of the residue, each with its norm.
        projects: the shortcut has weights.
    """
    paths = []
    for k in range(convs):
        conv, norm = f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}"
        paths += conv_norm_paths(conv, norm, f"{ours}.residue.{k}")
    if projects:
        down = f"{theirs}.downsample"
        paths += conv_norm_paths(f"{down}.0", f"{down}.1", f"{ours}.shortcut")
    return paths
