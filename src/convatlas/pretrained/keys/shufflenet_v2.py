"""ShuffleNet V2 under torchvision's names."""

from convatlas.models.classify.shufflenet_v2 import DownUnit, ShuffleNetV2, ShuffleUnit
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of

BRANCH = ((0, 1), (3, 4), (5, 6))  # convolution and norm of each part; 2 and 7 are activations
SHORTCUT = ((0, 1), (2, 3))


def torchvision_paths(model: ShuffleNetV2) -> list[tuple[str, str]]:
    """List layers of torchvision's `shufflenet_v2_x0_5` to `x2_0` and ours."""
    paths = conv_norm_paths("conv1.0", "conv1.1", "stages.0.0")
    paths += [*conv_norm_paths("conv5.0", "conv5.1", "head"), ("fc", "classifier")]
    branches = []
    for s, _, ours, _ in layers_of(model.stages, DownUnit):
        branches += [(f"stage{s}.0.branch1", f"{ours}.shortcut", SHORTCUT)]
        branches += [(f"stage{s}.0.branch2", f"{ours}.branch", BRANCH)]
    for s, i, ours, _ in layers_of(model.stages, ShuffleUnit):
        branches += [(f"stage{s}.{i + 1}.branch2", f"{ours}.branch", BRANCH)]
    for theirs, ours, parts in branches:
        for k, (conv, norm) in enumerate(parts):
            paths += conv_norm_paths(f"{theirs}.{conv}", f"{theirs}.{norm}", f"{ours}.{k}")
    return paths
