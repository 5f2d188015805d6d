"""The shared block of MnasNet and EfficientNet, numbered and named as peers do."""

from collections.abc import Iterator, Sequence

from torch import nn

from convatlas.blocks import MBConv
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of

Paths = list[tuple[str, str]]


def blocks_of(stages: nn.Module, repeats: Sequence[int]) -> Iterator[tuple[int, int, str, MBConv]]:
    """Yield (row of the paper's table, number in it, path, block): peers count by rows."""
    places = [(row, i) for row, blocks in enumerate(repeats) for i in range(blocks)]
    blocks = [(path, block) for _, _, path, block in layers_of(stages, MBConv)]
    for (row, i), (path, block) in zip(places, blocks, strict=True):
        yield row, i, path, block


def parts_of(block: MBConv) -> list[str]:
    """List the parts that hold weights, in order."""
    parts = ("expand", "filter", "excite", "project")
    return [part for part in parts if any(True for _ in block.get_submodule(part).parameters())]


def excite_paths(block: MBConv, theirs: str, ours: str) -> Paths:
    """List the two layers of squeeze and excitation, where the block has them."""
    if "excite" not in parts_of(block):
        return []
    return [(f"{theirs}{part}", f"{ours}.excite.{part}") for part in ("reduce", "expand")]


def timm_block_paths(stages: nn.Module, repeats: Sequence[int]) -> Paths:
    """List layers of all of timm's `blocks`, and ours."""
    paths: Paths = []
    for row, i, ours, block in blocks_of(stages, repeats):
        theirs = f"blocks.{row}.{i}"
        convs = [part for part in parts_of(block) if part != "excite"]
        names = ("pw", "dw", "pwl") if "expand" in convs else ("dw", "pw")
        for k, (part, name) in enumerate(zip(convs, names, strict=True), start=1):
            paths += conv_norm_paths(f"{theirs}.conv_{name}", f"{theirs}.bn{k}", f"{ours}.{part}")
        paths += excite_paths(block, f"{theirs}.se.conv_", ours)
    return paths


def timm_ends() -> Paths:
    """List the layers before and behind timm's `blocks`, and ours."""
    paths = conv_norm_paths("conv_stem", "bn1", "stages.0.0")
    paths += conv_norm_paths("conv_head", "bn2", "head")
    return [*paths, ("classifier", "classifier.1")]
