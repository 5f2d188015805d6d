"""MobileNet V3 under the names of torchvision and timm.

timm's networks other than its `tf_` ones have norms with an eps of 1e-5: build ours with
`norm_eps=1e-5` for their weights. Its `tf_` ones pad as TensorFlow does and want `padding="same"`.
"""

from itertools import groupby

from torch import nn

from convatlas.blocks import MBConv
from convatlas.models.classify.mobilenet_v3 import LAYOUTS, MobileNetV3
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def torchvision_paths(model: MobileNetV3) -> list[tuple[str, str]]:
    """List layers of torchvision's `mobilenet_v3_large` and `mobilenet_v3_small`, and ours."""
    paths = conv_norm_paths("features.0.0", "features.0.1", "stages.0.0")
    number = 0
    for _, _, ours, unit in layers_of(model.stages, MBConv):
        number += 1
        for k, part in enumerate(_parts(unit)):
            theirs = f"features.{number}.block.{k}"
            if part == "excite":
                paths += [(f"{theirs}.fc1", f"{ours}.excite.reduce")]
                paths += [(f"{theirs}.fc2", f"{ours}.excite.expand")]
            else:
                paths += conv_norm_paths(f"{theirs}.0", f"{theirs}.1", f"{ours}.{part}")
    last = f"features.{number + 1}"
    paths += conv_norm_paths(f"{last}.0", f"{last}.1", "head")
    return [*paths, ("classifier.0", "classifier.0"), ("classifier.3", "classifier.3")]


def timm_paths(model: MobileNetV3) -> list[tuple[str, str]]:
    """List layers of timm's `mobilenetv3_large_100` and its other forms, and ours."""
    paths = conv_norm_paths("conv_stem", "bn1", "stages.0.0")
    paths += [("conv_head", "classifier.0"), ("classifier", "classifier.3")]
    rows, _ = LAYOUTS[model.form]
    places = [  # peers cut where the table's channels change, not only where the map is halved
        (group, i)
        for group, (_, same) in enumerate(groupby(rows, key=lambda row: row.channels))
        for i, _ in enumerate(same)
    ]
    units = layers_of(model.stages, MBConv)
    for (group, i), (_, _, ours, unit) in zip(places, units, strict=True):
        theirs = f"blocks.{group}.{i}"
        parts = _parts(unit)
        names = {"expand": "pw", "filter": "dw", "project": "pwl" if "expand" in parts else "pw"}
        for k, part in enumerate((p for p in parts if p != "excite"), start=1):
            conv = f"{theirs}.conv_{names[part]}"
            paths += conv_norm_paths(conv, f"{theirs}.bn{k}", f"{ours}.{part}")
        paths += [
            (f"{theirs}.se.conv_{part}", f"{ours}.excite.{part}") for part in ("reduce", "expand")
        ]
    last = f"blocks.{places[-1][0] + 1}.0"
    return paths + conv_norm_paths(f"{last}.conv", f"{last}.bn1", "head")


def _parts(unit: MBConv) -> list[str]:
    """List the parts that hold weights, in order."""
    parts = ("expand", "filter", "excite", "project")
    return [part for part in parts if not isinstance(getattr(unit, part), nn.Identity)]
