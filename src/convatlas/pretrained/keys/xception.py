"""Xception under timm's names, whose blocks number convolutions, norms and activations alike."""

from convatlas.models.classify.xception import SeparableNorm, Xception, XceptionBlock
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def timm_paths(model: Xception) -> list[tuple[str, str]]:
    """List layers of timm's `legacy_xception` and ours."""
    paths = [*conv_norm_paths("conv1", "bn1", "stages.0.0"), ("fc", "classifier.1")]
    paths += conv_norm_paths("conv2", "bn2", "stages.0.1")
    blocks = layers_of(model.stages, XceptionBlock)
    for number, (_, _, ours, block) in enumerate(blocks, start=1):
        theirs, place = f"block{number}", 0
        for k, layer in enumerate(block.residue):
            if isinstance(layer, SeparableNorm):
                norm = f"{theirs}.rep.{place + 1}"
                paths += _separable(f"{theirs}.rep.{place}", norm, f"{ours}.residue.{k}")
                place += 1
            place += 1
        if len(list(block.shortcut.parameters())) > 0:
            paths += conv_norm_paths(f"{theirs}.skip", f"{theirs}.skipbn", f"{ours}.shortcut")
    for _, i, ours, _ in layers_of(model.stages, SeparableNorm):
        paths += _separable(f"conv{i + 3}", f"bn{i + 3}", ours)
    return paths


def _separable(conv: str, norm: str, ours: str) -> list[tuple[str, str]]:
    return [(f"{conv}.conv1", f"{ours}.0"), (f"{conv}.pointwise", f"{ours}.1"), (norm, f"{ours}.2")]
