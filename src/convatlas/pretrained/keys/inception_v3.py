"""Inception v3 under the names of torchvision and timm, which agree but for the auxiliary part.

Both list the convolutions of a module in the order in which ours stand.
"""

from convatlas.blocks import ConvNormAct
from convatlas.models.classify.inception_v3 import InceptionV3
from convatlas.pretrained.keys.layer_paths import conv_norm_paths

STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
BRANCHES = {  # kind of module: a branch's name and how many convolutions it has
    "a": (("1x1", 0), ("5x5", 2), ("3x3dbl", 3), ("_pool", 0)),
    "reduce_a": (("3x3", 0), ("3x3dbl", 3)),
    "b": (("1x1", 0), ("7x7", 3), ("7x7dbl", 5), ("_pool", 0)),
    "reduce_b": (("3x3", 2), ("7x7x3", 4)),
}
MODULES = {"a": "5b 5c 5d", "reduce_a": "6a", "b": "6b 6c 6d 6e", "reduce_b": "7a", "c": "7b 7c"}
MODULE_C = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b"),
    *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"),
)


def torchvision_paths(model: InceptionV3) -> list[tuple[str, str]]:
    """List layers of torchvision's `inception_v3` and ours, with the auxiliary part if any."""
    ours = [path for path, m in model.stages.named_modules() if isinstance(m, ConvNormAct)]
    paths = [("fc", "classifier.1")]
    for theirs, mine in zip(_convolutions(), ours, strict=True):
        paths += conv_norm_paths(f"{theirs}.conv", f"{theirs}.bn", f"stages.{mine}")
    if model.auxiliary is not None:
        for number in (0, 1):
            theirs = f"AuxLogits.conv{number}"
            paths += conv_norm_paths(f"{theirs}.conv", f"{theirs}.bn", f"auxiliary.{number + 2}")
        paths.append(("AuxLogits.fc", "auxiliary.5"))
    return paths


timm_paths = torchvision_paths


def _convolutions() -> list[str]:
    """List the peer's convolutions from the first to the last."""
    names: list[str] = [*STEM]
    for kind, modules in MODULES.items():
        for module in modules.split():
            names += [f"Mixed_{module}.{part}" for part in _parts(kind)]
    return names


def _parts(kind: str) -> list[str]:
    if kind == "c":
        return list(MODULE_C)
    parts = []
    for branch, length in BRANCHES[kind]:
        numbered = [f"branch{branch}_{i}" for i in range(1, length + 1)]
        parts += numbered or [f"branch{branch}"]
    return parts
