"""SE-ResNet and SE-ResNeXt under timm's names, from depth 50 on.

timm puts the stride of a bottleneck in its 3 x 3 convolution: build ours with
`stride_in_3x3=True`. In basic units it rounds the hidden channels of squeeze and excitation up.
"""

from torch import nn

from convatlas.models.classify.senet import SEResNet, SEUnit
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of, residual_paths


def timm_paths(model: SEResNet) -> list[tuple[str, str]]:
    """List layers of timm's `seresnet50`, `seresnext50_32x4d` and their deeper forms, and ours."""
    paths = [*conv_norm_paths("conv1", "bn1", "stages.0.0"), ("fc", "classifier")]
    for s, i, ours, unit in layers_of(model.stages, SEUnit):
        theirs = f"layer{s}.{i}"
        projects = not isinstance(unit.shortcut, nn.Identity)
        paths += residual_paths(theirs, ours, convs=3, projects=projects)
        paths += [(f"{theirs}.se.fc1", f"{ours}.residue.3.reduce")]
        paths += [(f"{theirs}.se.fc2", f"{ours}.residue.3.expand")]
    return paths
