"""MnasNet under the names of torchvision and timm, which have `norm_eps=1e-5`."""

from convatlas.models.classify.mnasnet import MnasNet
from convatlas.pretrained.keys.layer_paths import conv_norm_paths
from convatlas.pretrained.keys.mb_conv import blocks_of, parts_of, timm_block_paths, timm_ends


def torchvision_paths(model: MnasNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `mnasnet1_0` and its other widths, which are B1, and ours."""
    paths = conv_norm_paths("layers.0", "layers.1", "stages.0.0")
    paths += conv_norm_paths("layers.14", "layers.15", "head")
    paths.append(("classifier.1", "classifier.1"))
    for row, i, ours, block in blocks_of(model.stages, model.repeats):
        # The first block stands among the layers themselves, behind the stem's three.
        theirs, first = ("layers", 3) if row == 0 else (f"layers.{7 + row}.{i}.layers", 0)
        for k, part in enumerate(parts_of(block)):
            conv, norm = (f"{theirs}.{first + 3 * k + j}" for j in (0, 1))
            paths += conv_norm_paths(conv, norm, f"{ours}.{part}")
    return paths


def timm_paths(model: MnasNet) -> list[tuple[str, str]]:
    """List layers of timm's `semnasnet_100` (A1), `mnasnet_100` (B1), `mnasnet_small`, and ours."""
    return timm_ends() + timm_block_paths(model.stages, model.repeats)
