"""SENet-154 under timm's names."""

from torch import nn

from convatlas.models.classify.senet_154 import SE154Unit, SENet154
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def timm_paths(model: SENet154) -> list[tuple[str, str]]:
    """Layers of timm's `legacy_senet154` and ours."""
    paths = [("last_linear", "classifier.1")]
    for k in range(3):
        conv, norm = f"layer0.conv{k + 1}", f"layer0.bn{k + 1}"
        paths += conv_norm_paths(conv, norm, f"stages.0.{k}")
    for s, i, ours, unit in layers_of(model.stages, SE154Unit):
        theirs = f"layer{s}.{i}"
        for k in range(3):
            conv, norm = f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}"
            paths += conv_norm_paths(conv, norm, f"{ours}.residue.{k}")
        paths += [(f"{theirs}.se_module.fc1", f"{ours}.residue.3.reduce")]
        paths += [(f"{theirs}.se_module.fc2", f"{ours}.residue.3.expand")]
        if not isinstance(unit.shortcut, nn.Identity):
            down = f"{theirs}.downsample"
            paths += conv_norm_paths(f"{down}.0", f"{down}.1", f"{ours}.shortcut")
    return paths
