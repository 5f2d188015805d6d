"""ResNet under the names of torchvision and timm, which agree on them.

Both put the stride of a bottleneck in its 3 x 3 convolution: build ours with `stride_in_3x3=True`.
"""

from convatlas.blocks import ConvNormAct
from convatlas.models.classify.resnet import BasicUnit, Bottleneck, ResNet
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of, residual_paths


def torchvision_paths(model: ResNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `resnet18` to `resnet152` and ours."""
    paths = [*conv_norm_paths("conv1", "bn1", "stages.0.0"), ("fc", "classifier")]
    for kind in (BasicUnit, Bottleneck):
        for s, i, ours, unit in layers_of(model.stages, kind):
            projects = isinstance(unit.shortcut, ConvNormAct)
            convs = len(unit.residue)
            paths += residual_paths(f"layer{s}.{i}", ours, convs=convs, projects=projects)
    return paths


timm_paths = torchvision_paths
