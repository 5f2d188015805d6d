"""ResNet under the names of torchvision and timm, which agree on them.

Both put the stride of a bottleneck in its 3 x 3 convolution: build ours with `stride_in_3x3=True`.
"""

from convatlas.blocks import ConvNormAct
from convatlas.models.classify.resnet import BasicUnit, Bottleneck, ResNet
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def torchvision_paths(model: ResNet) -> list[tuple[str, str]]:
    """Layers of torchvision's `resnet18` to `resnet152` and ours."""
    paths = [*conv_norm_paths("conv1", "bn1", "stages.0.0"), ("fc", "classifier")]
    for kind in (BasicUnit, Bottleneck):
        for s, i, ours, unit in layers_of(model.stages, kind):
            theirs = f"layer{s}.{i}"
            for k in range(len(unit.residue)):
                conv, norm = f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}"
                paths += conv_norm_paths(conv, norm, f"{ours}.residue.{k}")
            if isinstance(unit.shortcut, ConvNormAct):
                down = f"{theirs}.downsample"
                paths += conv_norm_paths(f"{down}.0", f"{down}.1", f"{ours}.shortcut")
    return paths


timm_paths = torchvision_paths
