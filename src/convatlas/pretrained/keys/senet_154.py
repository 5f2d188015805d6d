"""SENet-154 under timm's names."""

from torch import nn

from convatlas.models.classify.senet_154 import SE154Unit, SENet154
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of, residual_paths


def timm_paths(model: SENet154) -> list[tuple[str, str]]:
    """List layers of timm's `legacy_senet154` and ours."""
    paths = [("last_linear", "classifier.1")]
    for k in range(3):
        conv, norm = f"layer0.conv{k + 1}", f"layer0.bn{k + 1}"
        paths += conv_norm_paths(conv, norm, f"stages.0.{k}")
    for s, i, ours, unit in layers_of(model.stages, SE154Unit):
        theirs = f"layer{s}.{i}"
        projects = not isinstance(unit.shortcut, nn.Identity)
        paths += residual_paths(theirs, ours, convs=3, projects=projects)
        paths += [(f"{theirs}.se_module.fc1", f"{ours}.residue.3.reduce")]
        paths += [(f"{theirs}.se_module.fc2", f"{ours}.residue.3.expand")]
    return paths
