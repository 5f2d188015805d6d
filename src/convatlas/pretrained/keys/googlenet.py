"""GoogLeNet under torchvision's names, whose network is TensorFlow slim's.

Build ours as `googlenet_slim`. The images that the weights expect are scaled to -1..1.
"""

from convatlas.models.classify.googlenet import GoogLeNet, InceptionModule
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of

STEM = (("conv1", "stages.0.0"), ("conv2", "stages.1.2"), ("conv3", "stages.1.3"))
BRANCHES = (
    ("branch1", "one"),
    ("branch2.0", "three.0"),
    ("branch2.1", "three.1"),
    ("branch3.0", "five.0"),
    ("branch3.1", "five.1"),
    ("branch4.1", "pool.1"),
)


def torchvision_paths(model: GoogLeNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `googlenet` and ours, with auxiliary classifiers if any."""
    paths = [("fc", "classifier.1")]
    for theirs, ours in STEM:
        paths += conv_norm_paths(f"{theirs}.conv", f"{theirs}.bn", ours)
    for s, i, ours, _ in layers_of(model.stages, InceptionModule):
        module = f"inception{s + 1}{'abcde'[i]}"
        for branch, part in BRANCHES:
            theirs = f"{module}.{branch}"
            paths += conv_norm_paths(f"{theirs}.conv", f"{theirs}.bn", f"{ours}.{part}")
    for number in range(len(model.auxiliary or ())):
        theirs, ours = f"aux{number + 1}", f"auxiliary.{number}"
        paths += conv_norm_paths(f"{theirs}.conv.conv", f"{theirs}.conv.bn", f"{ours}.1")
        paths += [(f"{theirs}.fc1", f"{ours}.4"), (f"{theirs}.fc2", f"{ours}.7")]
    return paths
