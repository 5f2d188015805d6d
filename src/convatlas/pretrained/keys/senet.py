"""SE-ResNet and SE-ResNeXt under timm's names, from depth 50 on.

timm puts the stride of a bottleneck in its 3 x 3 convolution: build ours with
`stride_in_3x3=True`. In basic units it rounds the hidden channels of squeeze and excitation up.
"""

from torch import nn

from convatlas.models.classify.senet import SEResNet, SEUnit
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def timm_paths(model: SEResNet) -> list[tuple[str, str]]:
    """Layers of timm's `seresnet50`, `seresnext50_32x4d` and their deeper forms, and ours."""
    paths = [*conv_norm_paths("conv1", "bn1", "stages.0.0"), ("fc", "classifier")]
    for s, i, ours, unit in layers_of(model.stages, SEUnit):
        theirs = f"layer{s}.{i}"
        for k in range(3):
            conv, norm = f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}"
            paths += conv_norm_paths(conv, norm, f"{ours}.residue.{k}")
        paths += [(f"{theirs}.se.fc1", f"{ours}.residue.3.reduce")]
        paths += [(f"{theirs}.se.fc2", f"{ours}.residue.3.expand")]
        if not isinstance(unit.shortcut, nn.Identity):
            down = f"{theirs}.downsample"
            paths += conv_norm_paths(f"{down}.0", f"{down}.1", f"{ours}.shortcut")
    return paths
